import { create } from '@bufbuild/protobuf';
import { afterEach, describe, expect, it } from 'vitest';
import { CallToolRequestSchema, ToolService } from '../../gen/portcullis/v1/tool_service_pb.ts';
import type { ToolCalls } from '../../src/api/tool-service.ts';
import { GatewayError } from '../../src/domain/errors.ts';
import { createInstallation, type Installation, refusalOf } from './installation.ts';

let gateway: Installation;

afterEach(() => gateway?.close());

const echo = {
  upstream: { value: { case: 'slug' as const, value: 'demo' } },
  name: 'echo',
  arguments: { text: 'hello' },
};

/** A client of a gateway whose pipeline answers so, and the calls that reached it. */
async function clientOf(answer: unknown) {
  const seen: unknown[] = [];
  const calls: ToolCalls = {
    listTools: async () => [{ name: 'echo' }, { name: 'add', title: 'Add' }],
    async callTool({ signal: _signal, ...call }) {
      seen.push(call);
      return { callId: 'call-1', result: answer };
    },
  };
  gateway = await createInstallation({ calls });
  return { client: gateway.as(gateway.admin, ToolService), seen };
}

describe('a call of a tool', () => {
  it('goes through the pipeline with its caller and its request id', async () => {
    const { client, seen } = await clientOf({ content: [] });
    await client.callTool(echo);
    expect(seen).toEqual([
      {
        principal: gateway.admin,
        upstream: 'demo',
        name: 'echo',
        arguments: { text: 'hello' },
        requestId: 'request-1',
      },
    ]);
  });

  it('answers with typed content', async () => {
    const { client } = await clientOf({
      content: [
        { type: 'text', text: 'hello', annotations: { priority: 1 }, _meta: { trace: 'x' } },
        { type: 'image', data: 'AQID', mimeType: 'image/png' },
        { type: 'audio', data: 'BAUG', mimeType: 'audio/wav' },
        { type: 'resource_link', uri: 'file:///a', name: 'a', size: 9007199254740991 },
        { type: 'resource', resource: { uri: 'file:///b', mimeType: 'text/plain', text: 'b' } },
        { type: 'resource', resource: { uri: 'file:///c', blob: 'Bwg=' } },
        { type: 'hologram', depth: 3 },
        { type: 'image', data: '%%%' },
      ],
      structuredContent: [1, 'two', null],
      isError: true,
      _meta: { cost: 2 },
    });
    const answer = await client.callTool(echo);
    expect(answer).toMatchObject({ callId: 'call-1', isError: true, meta: { cost: 2 } });
    expect(answer.content.map(({ value }) => value)).toMatchObject([
      { case: 'text', value: { text: 'hello' } },
      { case: 'image', value: { data: new Uint8Array([1, 2, 3]), mimeType: 'image/png' } },
      { case: 'audio', value: { data: new Uint8Array([4, 5, 6]), mimeType: 'audio/wav' } },
      { case: 'resourceLink', value: { uri: 'file:///a', name: 'a', size: 9007199254740991n } },
      { case: 'resource', value: { uri: 'file:///b', content: { case: 'text', value: 'b' } } },
      { case: 'resource', value: { uri: 'file:///c', content: { case: 'blob', value: new Uint8Array([7, 8]) } } },
      { case: 'other', value: { type: 'hologram', depth: 3 } },
      { case: 'other', value: { type: 'image', data: '%%%' } },
    ]);
    expect(answer.content[0]).toMatchObject({ annotations: { priority: 1 }, meta: { trace: 'x' } });
    expect(answer.structuredContent?.kind.case).toBe('listValue');
  });

  it('tells null from no structured content', async () => {
    const { client } = await clientOf({ content: [], structuredContent: null });
    expect((await client.callTool(echo)).structuredContent?.kind.case).toBe('nullValue');
    await gateway.close();
    const { client: without } = await clientOf({ content: [] });
    expect((await without.callTool(echo)).structuredContent).toBeUndefined();
  });

  it.each(['garbage', null, [1]])('that is answered with %j is a bad gateway', async (garbage) => {
    const { client } = await clientOf(garbage);
    expect(await refusalOf(client.callTool(echo))).toMatchObject({
      code: 'Unavailable',
      reason: 'ERROR_REASON_BAD_GATEWAY',
      metadata: { call_id: 'call-1' },
    });
  });

  it('that needs input from its client says so', async () => {
    const { client } = await clientOf({ resultType: 'input_required', inputRequests: {} });
    expect(await refusalOf(client.callTool(echo))).toMatchObject({
      code: 'FailedPrecondition',
      metadata: { call_id: 'call-1', condition: 'input_required' },
    });
  });

  it('that is denied names the call and the rule', async () => {
    const denied = new GatewayError('policy_denied', 'Ask Ann.', {
      metadata: { call_id: 'call-1', rule: 'no-deletes' },
    });
    gateway = await createInstallation({
      calls: { listTools: () => Promise.reject(denied), callTool: () => Promise.reject(denied) },
    });
    expect(await refusalOf(gateway.as(gateway.admin, ToolService).callTool(echo))).toMatchObject({
      code: 'PermissionDenied',
      reason: 'ERROR_REASON_POLICY_DENIED',
      message: 'Ask Ann.',
      metadata: { call_id: 'call-1', rule: 'no-deletes' },
    });
  });

  it('is refused with numbers that JSON cannot hold', async () => {
    const { client, seen } = await clientOf({ content: [] });
    const request = create(CallToolRequestSchema, { ...echo, arguments: { list: [1, Number.NaN] } });
    const refusal = await refusalOf(client.callTool(request));
    expect(refusal.violations).toMatchObject([{ field: 'arguments' }]);
    expect(seen).toEqual([]);
  });
});

describe('the list of tools', () => {
  it('is in the order of names, page by page', async () => {
    const { client } = await clientOf(undefined);
    const first = await client.listTools({ upstream: echo.upstream, pageSize: 1 });
    expect(first.tools).toMatchObject([{ name: 'add', title: 'Add' }]);
    const second = await client.listTools({ upstream: echo.upstream, pageToken: first.nextPageToken });
    expect(second).toMatchObject({ tools: [{ name: 'echo' }], nextPageToken: '' });
  });
});
