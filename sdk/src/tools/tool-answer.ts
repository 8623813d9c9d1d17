import type { ContentBlock } from '../../../gen/portcullis/v1/tool_pb.ts';

/** What a tool answered. */
export interface ToolAnswer<Output> {
  /** The answer as data; undefined when the tool gave none. As the gateway does not check it, it is only as sound as the tool. */
  readonly structuredContent: Output;
  /** The answer for models, in its order. */
  readonly content: readonly ContentBlock[];
  /** All text of `content`, a line break between its blocks. */
  readonly text: string;
  /** The id of the call and of its Decision. */
  readonly callId: string;
}

/** Thrown for an answer by which the tool says that it failed; what keeps a call from being made is a PortcullisError. */
export class ToolFailedError extends Error {
  override readonly name = 'ToolFailedError';
  readonly answer: ToolAnswer<unknown>;

  constructor(tool: string, answer: ToolAnswer<unknown>) {
    super(answer.text === '' ? `The tool '${tool}' failed.` : answer.text);
    this.answer = answer;
  }
}

/** All text of an answer's blocks. */
export function textOf(content: readonly ContentBlock[]): string {
  return content.flatMap(({ value }) => (value.case === 'text' ? [value.value.text] : [])).join('\n');
}
