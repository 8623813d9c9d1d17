import type { Tool } from '../../gen/portcullis/v1/tool_pb.ts';
import type { ToolTarget } from '../src/tools.ts';
import { camelCase, comment, createNames, keyText, pascalCase } from './identifiers.ts';
import { isSchema } from './schema.ts';
import { createSchemaTypes } from './schema-type.ts';

/** What a module is written from. */
export type ToolInfo = Pick<
  Tool,
  | 'name'
  | 'title'
  | 'description'
  | 'inputSchema'
  | 'outputSchema'
  | 'upstreamSlug'
  | 'upstreamVersion'
  | 'upstreamToolName'
>;

/** The TypeScript module for the tools of a target; the same text for the same tools in any order. */
export function writeToolModule(target: ToolTarget, command: string, tools: readonly ToolInfo[]): string {
  const takeType = createNames();
  for (const reserved of ['PortcullisClient', 'Tool', 'Tools', 'bindTool', 'createTools']) {
    takeType(reserved);
  }
  const types = createSchemaTypes(takeType);
  const takeGroup = createNames();
  const groups = groupsOf(tools).map(([group, members]) =>
    writeGroup({ group, key: keyText(takeGroup(camelCase(group))), tools: members, types, takeType }),
  );
  const text = JSON.stringify(target);
  return [
    `// Written by '${command}'. Do not edit: run it again when the tools have changed.\n`,
    `import { bindTool, type PortcullisClient, type Tool } from '@portcullis/sdk/tools';\n\n`,
    ...types.declarations().map((declaration) => `${declaration}\n`),
    ...groups.flatMap(({ declarations }) => declarations.map((declaration) => `${declaration}\n`)),
    `/** The tools of ${text.replaceAll('*/', '*\\/')}, by upstream. */\n`,
    `export interface Tools {\n${groups.map(({ members }) => members).join('')}}\n\n`,
    '/** Makes the functions that call the tools; nothing is sent yet. */\n',
    "export function createTools(client: Pick<PortcullisClient, 'tools'>): Tools {\n",
    `  const target = ${text} as const;\n`,
    `  return {\n${groups.map(({ values }) => values).join('')}  };\n}\n`,
  ].join('');
}

/** The tools by upstream, both in the order of their names. */
function groupsOf(tools: readonly ToolInfo[]): [string, readonly ToolInfo[]][] {
  const groups = new Map<string, ToolInfo[]>();
  const sorted = [...tools].sort(
    (a, b) =>
      compare(a.upstreamSlug, b.upstreamSlug) ||
      compare(a.upstreamVersion, b.upstreamVersion) ||
      compare(a.name, b.name),
  );
  for (const tool of sorted) {
    const version = ['', 'v1'].includes(tool.upstreamVersion) ? '' : ` ${tool.upstreamVersion}`;
    const key = `${tool.upstreamSlug}${version}`;
    groups.set(key, [...(groups.get(key) ?? []), tool]);
  }
  return [...groups];
}

/** The tools of one upstream, and the member of the module that has their functions. */
interface Group {
  readonly group: string;
  readonly key: string;
  readonly tools: readonly ToolInfo[];
  readonly types: ReturnType<typeof createSchemaTypes>;
  readonly takeType: (wanted: string) => string;
}

function writeGroup({ group, key, tools, types, takeType }: Group) {
  const takeFunction = createNames();
  const declarations: string[] = [];
  let members = '';
  let values = '';
  for (const tool of tools) {
    const functionName = takeFunction(camelCase(tool.upstreamToolName || tool.name));
    const typeName = `${pascalCase(group)}${pascalCase(functionName)}`;
    const declare = (suffix: string, schema: unknown): string => {
      const name = takeType(`${typeName}${suffix}`);
      const type = types.typeOf(schema, name);
      declarations.push(
        `export type ${name} = ${suffix === 'Input' && !isObject(schema) ? `(${type}) & object` : type};\n`,
      );
      return name;
    };
    const input = declare('Input', tool.inputSchema ?? { type: 'object' });
    const output = tool.outputSchema === undefined ? 'unknown' : declare('Output', tool.outputSchema);
    members += `${comment(tool.description || tool.title, '    ')}    ${keyText(functionName)}: Tool<${input}, ${output}>;\n`;
    values += `      ${keyText(functionName)}: bindTool<${input}, ${output}>(client, target, ${JSON.stringify(tool.name)}),\n`;
  }
  return {
    declarations,
    members: `  readonly ${key}: {\n${members}  };\n`,
    values: `    ${key}: {\n${values}    },\n`,
  };
}

/** True when a schema says that it is about objects, as those of arguments must, so that its type is one. */
function isObject(schema: unknown): boolean {
  return isSchema(schema) && schema['type'] === 'object' && !('const' in schema) && !Array.isArray(schema['enum']);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
