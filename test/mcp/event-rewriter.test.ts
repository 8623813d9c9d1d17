import { describe, expect, test } from 'vitest';
import { EventRewriter } from '../../src/mcp/event-rewriter.ts';

const STREAM =
  'data: {"id":1}\n\n: comment\r\n\r\nid: 4\rdata: {"result":{"a":1}}\r\rdata: {"result":{"b":"é"}}\n\r\n\n\nevent: x\ndata: {"m":\ndata: 1}\n\nrest';

function pass(text: string, size: number, rewrite: ConstructorParameters<typeof EventRewriter>[1]): string {
  const bytes = Buffer.from(text);
  const rewriter = new EventRewriter('demo', rewrite);
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) out.push(rewriter.feed(bytes.subarray(at, at + size)));
  return Buffer.concat([...out, rewriter.end()]).toString();
}

describe('an event stream', () => {
  test('in which nothing changes keeps its bytes, however it is cut', () => {
    for (let size = 1; size <= STREAM.length; size++) {
      expect(pass(STREAM, size, (result) => result)).toBe(STREAM);
    }
  });

  test('in which results change is the same however it is cut, but for line ends between events', () => {
    const whole = pass(STREAM, STREAM.length, () => ({ c: 2 }));
    expect(whole).toContain('id: 4\ndata: {"result":{"c":2}}\n\ndata: {"result":{"c":2}}\n\n');
    for (let size = 1; size <= STREAM.length; size++) {
      expect(pass(STREAM, size, () => ({ c: 2 })).replaceAll(/[\r\n]+/g, '\n')).toBe(
        whole.replaceAll(/[\r\n]+/g, '\n'),
      );
    }
  });

  test('goes on event by event', () => {
    const rewriter = new EventRewriter('demo', (result) => result);
    expect(rewriter.feed(Buffer.from('data: 1\n\ndata: 2')).toString()).toBe('data: 1\n\n');
    expect(rewriter.feed(Buffer.from('\n')).toString()).toBe('');
    expect(rewriter.feed(Buffer.from('\n: x\n')).toString()).toBe('data: 2\n\n');
  });
});
