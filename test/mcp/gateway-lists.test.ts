import { describe, expect, test } from 'vitest';
import { CLIENTS, denyPolicy, openMall } from './mall.ts';
import { SHOP_KINDS } from './shops.ts';

describe.each(CLIENTS)('$name', ({ connect }) => {
  test('lists the tools of all upstreams in their order, each behind its prefix', async () => {
    const { url } = await openMall(SHOP_KINDS);
    const client = await connect(url);
    const names = ['echo', 'order', 'ask', 'poke', 'restock'];
    expect(await client.tools()).toEqual(
      ['s1', 's2', 's3', 's4', 's5'].flatMap((shop) => names.map((name) => `${shop}_${name}`)),
    );
  });

  test('lists prompts, resources and templates of all upstreams; a URI that several have tells whose it is', async () => {
    const { url } = await openMall(['http legacy', 'http modern']);
    const client = await connect(url);
    expect((await client.listPrompts()).prompts.map(({ name }) => name)).toEqual(['s1_greet', 's2_greet']);
    expect((await client.listResources()).resources.map(({ uri }) => uri)).toEqual([
      'shop://s1/stock',
      's1+shop://common',
      'shop://s2/stock',
      's2+shop://common',
    ]);
    const { resourceTemplates } = await client.listResourceTemplates();
    expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual([
      'shop://s1/items/{item}',
      'shop://s2/items/{item}',
    ]);
  });

  test('sees the names of an only upstream as they are', async () => {
    const { url } = await openMall(['stdio legacy']);
    expect(await (await connect(url)).tools()).toEqual(['echo', 'order', 'ask', 'poke', 'restock']);
  });

  test('is not shown what policies deny', async () => {
    const policies = [
      denyPolicy({ upstreamPattern: 's1', toolPattern: 'o*' }),
      denyPolicy({ upstreamPattern: 's2', toolPattern: 'p*' }),
    ];
    const { url } = await openMall(['http legacy', 'http modern'], { policies });
    expect(await (await connect(url)).tools()).toEqual([
      's1_echo',
      's1_ask',
      's1_poke',
      's1_restock',
      's2_echo',
      's2_order',
      's2_ask',
      's2_restock',
    ]);
  });

  test('learns what the upstreams can do together', async () => {
    const { url } = await openMall(['http legacy', 'http modern']);
    expect((await connect(url)).getServerCapabilities()).toEqual({
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      completions: {},
      logging: {},
    });
  });
});
