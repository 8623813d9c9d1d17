/** What modules written by `npx @portcullis/sdk tools` are made of. */
export type { PortcullisClient } from './client.ts';
export { bindTool, type Tool, type ToolTarget } from './tools/bind-tool.ts';
export { type ToolAnswer, ToolFailedError } from './tools/tool-answer.ts';
