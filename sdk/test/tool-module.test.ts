import { describe, expect, it } from 'vitest';
import { type ToolInfo, writeToolModule } from '../cli/tool-module.ts';

function tool(change: Partial<ToolInfo>): ToolInfo {
  const named = { name: 'read', title: '', description: '', upstreamToolName: 'read' };
  return { ...named, inputSchema: { type: 'object' }, upstreamSlug: 'fs', upstreamVersion: 'v1', ...change };
}

function moduleOf(...tools: ToolInfo[]): string {
  return writeToolModule({ gateway: 'g' }, 'the command', tools);
}

describe('the module of tools', () => {
  it('keeps upstreams apart whose names are the same in TypeScript', () => {
    const text = moduleOf(
      tool({ upstreamSlug: 'fs', upstreamVersion: 'v2', name: 'a' }),
      tool({ upstreamSlug: 'fs-v2', name: 'b' }),
    );
    expect(text.match(/readonly \w+: \{/g)).toEqual(['readonly fsV2: {', 'readonly fsV22: {']);
    expect(text).toContain(
      '    fsV22: {\n      read: bindTool<FsV2ReadInput2, unknown>(client, target, "b"),\n    },\n',
    );
  });

  it.each<[string, ToolInfo['inputSchema'], string]>([
    ['nothing', {}, '(unknown) & object'],
    ['a number', { type: 'integer' }, '(number) & object'],
    ['a choice of objects', { anyOf: [{ type: 'object' }] }, '({ [key: string]: unknown; }) & object'],
    ['an object', { type: 'object' }, '{ [key: string]: unknown; }'],
  ])('takes only objects as arguments, also of a tool whose schema asks for %s', (_name, inputSchema, expected) => {
    expect(moduleOf(tool({ ...(inputSchema && { inputSchema }) }))).toContain(
      `export type FsReadInput = ${expected};\n`,
    );
  });
});
