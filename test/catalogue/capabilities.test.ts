import { expect, test } from 'vitest';
import { mergeCapabilities } from '../../src/catalogue/capabilities.ts';
import type { OfferProblem } from '../../src/catalogue/offer.ts';
import type { JsonObject } from '../../src/domain/json.ts';

const problem: OfferProblem = { reason: 'unreachable', message: 'Down.' };
const merge = (...all: readonly JsonObject[]) =>
  mergeCapabilities(all.map((capabilities) => ({ capabilities, problem: undefined })));

test('a gateway has what one of its upstreams has, and tells changes of lists itself', () => {
  expect(merge({ tools: {} }, { prompts: { listChanged: false }, completions: {} })).toEqual({
    tools: { listChanged: true },
    prompts: { listChanged: true },
    completions: {},
  });
  expect(merge({ resources: { subscribe: true } }, { resources: {}, logging: {} })).toEqual({
    resources: { subscribe: true, listChanged: true },
    logging: {},
  });
  expect(merge({ resources: { listChanged: true } })).toEqual({ resources: { listChanged: true } });
  expect(merge({}, {})).toEqual({});
});

test('experiments and extensions are advertised when all upstreams declare them in the same way', () => {
  const ui = { mimeTypes: ['text/html'], deep: { a: 1, b: 2 } };
  const sameUi = { deep: { b: 2, a: 1 }, mimeTypes: ['text/html'] };

  expect(
    merge(
      { experimental: { a: {}, b: { x: 1 } }, extensions: { ui, other: {} } },
      { experimental: { a: {}, b: { x: 2 } }, extensions: { ui: sameUi } },
    ),
  ).toEqual({ experimental: { a: {} }, extensions: { ui } });
  expect(merge({ experimental: { a: {} } }, { experimental: {} }, {})).toEqual({});
  expect(merge({ experimental: { a: [1, 2] } }, { experimental: { a: [2, 1] } })).toEqual({});
});

test('tasks are not advertised: no upstream is asked for those of another era', () => {
  const extensions = { 'io.modelcontextprotocol/tasks': {}, 'example.com/x': { y: [1, null, 'z'] } };

  expect(merge({ tasks: { list: {} }, extensions })).toEqual({
    extensions: { 'example.com/x': { y: [1, null, 'z'] } },
  });
});

test('an upstream that cannot be asked may have anything to list', () => {
  const unknown = { capabilities: {}, problem };

  expect(mergeCapabilities([unknown])).toEqual({
    tools: { listChanged: true },
    prompts: { listChanged: true },
    resources: { listChanged: true },
  });
  expect(mergeCapabilities([{ capabilities: { tools: {} }, problem }])).toEqual({ tools: { listChanged: true } });
  expect(
    mergeCapabilities([{ capabilities: { experimental: { a: {} } }, problem: undefined }, unknown])['experimental'],
  ).toBeUndefined();
});

test('an extension whose settings are nested without end is not advertised', () => {
  const settings: unknown = JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`);

  expect(merge({ extensions: { settings, ui: {} } }, { extensions: { settings, ui: {} } })).toEqual({
    extensions: { ui: {} },
  });
  expect(merge({ extensions: { settings } })).toEqual({});
});

test('what is not an object is not a capability', () => {
  expect(merge({ tools: true, prompts: null, resources: [], experimental: 'x', extensions: [1] })).toEqual({});
});
