import { describe, expect, test } from 'vitest';
import { CLIENTS, denyPolicy, openMall } from './mall.ts';

const SEARCH = { gateway: { discoveryMode: 'search' } } as const;

describe.each(CLIENTS)('$name at a gateway in SEARCH mode', ({ connect, era }) => {
  test('lists three tools, finds another with them, and calls it; it is recorded as the real one', async () => {
    const { gateway, url } = await openMall(['http legacy', 'http modern'], SEARCH);
    const client = await connect(url);
    expect(await client.tools()).toEqual(['search_tools', 'describe_tool', 'call_tool']);
    const found = JSON.parse(await client.call('search_tools', { query: 'repeats a text', limit: 2 }));
    expect(found.tools.map(({ name }: { name: string }) => name)).toEqual(['s1_echo', 's2_echo']);
    const described = JSON.parse(await client.call('describe_tool', { name: 's2_echo' }));
    expect(described).toMatchObject({ name: 's2_echo', inputSchema: { properties: { text: {} } } });
    expect(gateway.decisions).toEqual([]);
    for (const shop of ['s1', 's2']) {
      const answer = await client.call('call_tool', { name: `${shop}_echo`, arguments: { text: 'hi' } });
      expect(answer).toBe(`${shop} says hi`);
    }
    expect(
      gateway.decisions.map(({ upstreamSlug, tool, argumentsJson }) => [upstreamSlug, tool, argumentsJson]),
    ).toEqual([
      ['s1', 'echo', '{"text":"hi"}'],
      ['s2', 'echo', '{"text":"hi"}'],
    ]);
  });

  test('neither finds nor gets described what policies deny, and is refused it', async () => {
    const policies = [denyPolicy({ upstreamPattern: 's1', toolPattern: 'echo' })];
    const { url } = await openMall(['http legacy', 'http modern'], { ...SEARCH, policies });
    const client = await connect(url);
    const found = JSON.parse(await client.call('search_tools', { query: 'echo' }));
    expect(found.tools.map(({ name }: { name: string }) => name)).toEqual(['s2_echo']);
    expect(await client.call('describe_tool', { name: 's1_echo' })).toMatch(/^error: There is no tool 's1_echo'/);
    const call = client.call('call_tool', { name: 's1_echo', arguments: {} });
    await expect(call).rejects.toMatchObject({ code: era === 'modern' ? -31001 : -32001 });
  });

  test('is told what is wrong with its arguments, and an unknown tool is recorded', async () => {
    const { gateway, url } = await openMall(['http legacy', 'http modern'], SEARCH);
    const client = await connect(url);
    expect(await client.call('search_tools', {})).toMatch(/^error: search_tools takes a 'query'/);
    expect(await client.call('describe_tool', {})).toMatch(/^error: describe_tool takes a 'name'/);
    expect(await client.call('call_tool', { arguments: {} })).toMatch(/^error: call_tool takes a 'name'/);
    expect(await client.call('call_tool', { name: 'x'.repeat(513) })).toMatch(/^error: call_tool takes a 'name'/);
    expect(await client.call('call_tool', { name: 's1_echo', arguments: [1] })).toMatch(/^error: The 'arguments'/);
    expect(await client.call('call_tool', { name: 's1_ecco', arguments: { a: 1 } })).toMatch(
      /^error: There is no tool 's1_ecco'/,
    );
    expect(gateway.decisions.map(({ tool, reason, argumentsJson }) => [tool, reason, argumentsJson])).toEqual([
      ['s1_ecco', 'not_offered', '{"a":1}'],
    ]);
  });

  test.each(['http legacy', 'http modern', 'stdio legacy', 'stdio modern'] as const)(
    'gets hidden arguments added to what it calls at an upstream (%s)',
    async (kind) => {
      const tools = { order: { fixedArguments: { key: 'secret' }, argumentDefaults: { size: 'M' } } };
      const { url } = await openMall([{ kind, entry: { tools } }, 'http modern'], SEARCH);
      const answer = await (await connect(url)).call('call_tool', { name: 's1_order', arguments: { item: 'hat' } });
      expect(JSON.parse(answer)).toEqual({ item: 'hat', key: 'secret', size: 'M' });
    },
  );
});
