import { describe, expect, test } from 'vitest';
import { CLIENTS, denyPolicy, openMall } from './mall.ts';
import { SHOP_KINDS } from './shops.ts';

describe.each(CLIENTS)('$name', ({ connect, era }) => {
  test('calls a tool of each kind of upstream, and its real name is decided and recorded', async () => {
    const { gateway, url } = await openMall(SHOP_KINDS);
    const client = await connect(url);
    for (const [at] of SHOP_KINDS.entries()) {
      expect(await client.call(`s${at + 1}_echo`, { text: 'hi' })).toBe(`s${at + 1} says hi`);
    }
    expect(
      gateway.decisions.map(({ upstreamSlug, tool, gatewaySlug, effect, era }) => [
        upstreamSlug,
        tool,
        gatewaySlug,
        effect,
        era,
      ]),
    ).toEqual(SHOP_KINDS.map((_kind, at) => [`s${at + 1}`, 'echo', 'mall', 'allow', era]));
  });

  test('gets prompts, reads resources and completes arguments', async () => {
    const { gateway, url } = await openMall(SHOP_KINDS);
    const client = await connect(url);
    for (const [at] of SHOP_KINDS.entries()) {
      const shop = `s${at + 1}`;
      const prompt = await client.getPrompt({ name: `${shop}_greet`, arguments: { who: 'ann' } });
      expect(prompt.messages[0]?.content).toEqual({ type: 'text', text: `${shop} greets ann` });
      const read = async (uri: string) => (await client.readResource({ uri })).contents;
      expect(await read(`shop://${shop}/stock`)).toEqual([{ uri: `shop://${shop}/stock`, text: `of ${shop}` }]);
      expect(await read(`${shop}+shop://common`)).toEqual([{ uri: `${shop}+shop://common`, text: `of ${shop}` }]);
      expect(await read(`shop://${shop}/items/pear`)).toEqual([
        { uri: `shop://${shop}/items/pear`, text: `${shop} has pear` },
      ]);
      const ofPrompt = await client.complete({
        ref: { type: 'ref/prompt', name: `${shop}_greet` },
        argument: { name: 'who', value: 'an' },
      });
      expect(ofPrompt.completion.values).toEqual(['ann', 'anton']);
      const ofTemplate = await client.complete({
        ref: { type: 'ref/resource', uri: `shop://${shop}/items/{item}` },
        argument: { name: 'item', value: 'p' },
      });
      expect(ofTemplate.completion.values).toEqual(['pear']);
    }
    const recorded = gateway.decisions.filter(({ upstreamSlug }) => upstreamSlug === 's2');
    expect(recorded.map(({ method, tool }) => [method, tool])).toEqual([
      ['prompts/get', 'greet'],
      ['resources/read', 'shop://s2/stock'],
      ['resources/read', 'shop://common'],
      ['resources/read', 'shop://s2/items/pear'],
    ]);
  });

  test('gets no completions for a prompt that policies deny', async () => {
    const policies = [denyPolicy({ upstreamPattern: 's2', toolPattern: 'greet' })];
    const { url } = await openMall(['http legacy', 'http modern'], { policies });
    const client = await connect(url);
    const argument = { name: 'who', value: 'an' };
    await expect(client.complete({ ref: { type: 'ref/prompt', name: 's2_greet' }, argument })).rejects.toMatchObject({
      code: -32602,
    });
    const allowed = await client.complete({ ref: { type: 'ref/prompt', name: 's1_greet' }, argument });
    expect(allowed.completion.values).toEqual(['ann', 'anton']);
  });

  test('is refused what policies deny of the real tool', async () => {
    const policies = [denyPolicy({ upstreamPattern: 's2', toolPattern: 'echo' })];
    const { gateway, url } = await openMall(['http legacy', 'http modern'], { policies });
    const client = await connect(url);
    await expect(client.call('s2_echo', { text: 'hi' })).rejects.toMatchObject({
      code: era === 'modern' ? -31001 : -32001,
    });
    expect(await client.call('s1_echo', { text: 'hi' })).toBe('s1 says hi');
    expect(gateway.decisions.map(({ effect }) => effect)).toEqual(['deny', 'allow']);
  });

  test('is told that a tool is unknown, which is recorded', async () => {
    const { gateway, url } = await openMall(['http legacy', 'http modern']);
    const client = await connect(url);
    const long = `s1_${'x'.repeat(297)}`;
    for (const name of ['echo', 's1_nothing', 's3_echo', long]) {
      await expect(client.call(name)).rejects.toMatchObject({ code: -32602 });
    }
    await expect(client.getPrompt({ name: 's1_nothing' })).rejects.toMatchObject({ code: -32602 });
    await expect(client.readResource({ uri: 'nothing://here' })).rejects.toMatchObject({ code: -32602 });
    expect(gateway.decisions.map(({ tool, reason, effect }) => [tool, reason, effect])).toEqual(
      ['echo', 's1_nothing', 's3_echo', long, 's1_nothing', 'nothing://here'].map((name) => [
        name,
        'not_offered',
        'deny',
      ]),
    );
  });

  test('cannot call a tool that several upstreams have, and learns why', async () => {
    const entry = { namePrefix: '' };
    const { url } = await openMall([
      { kind: 'http legacy', entry },
      { kind: 'http modern', entry },
    ]);
    const client = await connect(url);
    expect(await client.tools()).toEqual([]);
    await expect(client.call('echo')).rejects.toMatchObject({
      code: -32602,
      message: expect.stringMatching(/several upstreams have it \(s1, s2\).*name_prefix/),
    });
  });

  test('is refused an argument that could be taken for a fixed one, before anything is decided', async () => {
    const tools = { order: { fixedArguments: { key: 'secret' } } };
    const { gateway, url } = await openMall([{ kind: 'http modern', entry: { tools } }, 'http legacy']);
    const client = await connect(url);
    await expect(client.call('s1_order', { item: 'hat', Key: 'mine' })).rejects.toMatchObject({
      code: -32602,
      message: expect.stringContaining("'Key' is no argument of this tool"),
    });
    expect(gateway.decisions).toEqual([]);
  });

  test.each(SHOP_KINDS)(
    'sends hidden and default arguments to an upstream (%s), which are decided too',
    async (kind) => {
      const tools = { order: { name: 'buy', fixedArguments: { key: 'secret' }, argumentDefaults: { size: 'M' } } };
      const { gateway, url } = await openMall([{ kind, entry: { tools } }, 'http modern']);
      const client = await connect(url);
      expect(JSON.parse(await client.call('s1_buy', { item: 'hat', key: 'mine' }))).toEqual({
        item: 'hat',
        key: 'secret',
        size: 'M',
      });
      expect(JSON.parse(await client.call('s1_buy', { size: 'L' }))).toEqual({ key: 'secret', size: 'L' });
      expect(gateway.decisions.map(({ tool, argumentsJson }) => [tool, JSON.parse(argumentsJson ?? '')])).toMatchObject(
        [
          ['order', { item: 'hat', size: 'M' }],
          ['order', { size: 'L' }],
        ],
      );
    },
  );
});
