#!/usr/bin/env node
import { readFile, writeFile } from 'node:fs/promises';
import { createPortcullisClient, isPortcullisError, paginate } from '../src/index.ts';
import type { ToolTarget } from '../src/tools.ts';
import { readCommand, type ToolsCommand, USAGE, UsageError } from './arguments.ts';
import { type ToolInfo, writeToolModule } from './tool-module.ts';

try {
  const command = readCommand(process.argv.slice(2), process.env);
  if (command === undefined) {
    process.stdout.write(USAGE);
  } else {
    process.exitCode = await run(command);
  }
} catch (error) {
  process.stderr.write(error instanceof UsageError ? `${error.message}\n\n${USAGE}` : `${explain(error)}\n`);
  process.exitCode = 2;
}

/** Resolves with the exit code. */
async function run(command: ToolsCommand): Promise<number> {
  const { target, out, isCheck } = command;
  const tools = await listTools(command);
  if (tools.length === 0) {
    process.stderr.write(`Warning: ${nameOf(target)} offers no tools to this API key.\n`);
  }
  const text = writeToolModule(target, commandOf(command), tools);
  if (!isCheck) {
    await writeFile(out, text);
    process.stdout.write(`Wrote ${tools.length} tools of ${nameOf(target)} to ${out}.\n`);
    return 0;
  }
  const written = await readFile(out, 'utf8').catch(() => undefined);
  if (written === text) {
    process.stdout.write(`${out} is what ${nameOf(target)} offers.\n`);
    return 0;
  }
  const problem = written === undefined ? 'does not exist or cannot be read' : 'is not what the tools are now';
  const first = written === undefined ? '' : firstDifference(written, text);
  process.stderr.write(`${out} ${problem}. Write it again: ${commandOf(command)}\n${first}`);
  return 1;
}

async function listTools({ target, baseUrl, apiKey }: ToolsCommand): Promise<ToolInfo[]> {
  const client = createPortcullisClient({ baseUrl, apiKey });
  const { gateway, upstream, version = '' } = target;
  const ref = { value: { case: 'slug', value: gateway ?? upstream ?? '' }, version } as const;
  const request = gateway === undefined ? { upstream: ref } : { gateway: ref };
  const tools: ToolInfo[] = [];
  for await (const tool of paginate(client.tools.listTools, { ...request, pageSize: 250 })) {
    tools.push(tool);
  }
  return tools;
}

/** The line in which two texts first differ, in both forms. */
function firstDifference(written: string, text: string): string {
  const [before, after] = [written.split('\n'), text.split('\n')];
  const at = after.findIndex((line, index) => line !== before[index]);
  const line = at === -1 ? after.length : at;
  return `Line ${line + 1}:\n- ${before[line] ?? '(the end)'}\n+ ${after[line] ?? '(the end)'}\n`;
}

function commandOf({ target, out }: ToolsCommand): string {
  const option = target.gateway === undefined ? '--upstream' : '--gateway';
  return `npx @portcullis/sdk tools ${option} ${nameOf(target)} --out ${out}`;
}

function nameOf({ gateway, upstream, version }: ToolTarget): string {
  return `${gateway ?? upstream ?? ''}${version === undefined ? '' : `@${version}`}`;
}

function explain(error: unknown): string {
  if (isPortcullisError(error)) {
    return `${error.message} (${error.reason})`;
  }
  return error instanceof Error ? error.message : String(error);
}
