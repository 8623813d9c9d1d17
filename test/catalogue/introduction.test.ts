import { expect, test } from 'vitest';
import { instructionsOf, serverInfoOf } from '../../src/catalogue/introduction.ts';
import { gatewayOf, membersOf, type Part, upstreamOf } from './composed-gateway.ts';

const instructions = (parts: readonly Part[], change: Parameters<typeof gatewayOf>[1] = {}) => {
  const gateway = gatewayOf(parts, change);
  return instructionsOf(gateway, membersOf(gateway, parts));
};

test('a gateway presents itself, and an upstream that stands alone is presented as itself', () => {
  const info = { name: 'GitHub', version: '7', icons: [] };
  const part = { slug: 'github', serverInfo: info };
  const gateway = gatewayOf([part], { slug: 'all', displayName: 'All tools' });
  const members = membersOf(gateway, [part]);

  expect(serverInfoOf(gateway, members, '1.2.3')).toEqual({ name: 'all', title: 'All tools', version: '1.2.3' });
  expect(serverInfoOf({ ...gateway, version: 'v2', displayName: '' }, members, '1.2.3')).toEqual({
    name: 'all@v2',
    version: '1.2.3',
  });
  expect(serverInfoOf(upstreamOf(part), members, '1.2.3')).toBe(info);
  expect(serverInfoOf(upstreamOf(part), membersOf(gateway, [{ slug: 'github' }]), '1.2.3')).toEqual({
    name: 'github',
    title: 'Files',
    version: '1.2.3',
  });
});

test('the instructions of all upstreams are joined under their names', () => {
  expect(
    instructions([
      { slug: 'github', instructions: '  Be kind.\n' },
      { slug: 'silent' },
      { slug: 'blank', instructions: ' \n' },
      { slug: 'jira', version: 'v2', instructions: 'Ask first.' },
    ]),
  ).toBe('# github\nBe kind.\n\n# jira@v2\nAsk first.');
  expect(instructions([{ slug: 'silent' }])).toBeUndefined();
});

test('the instructions of an upstream that stands alone stay as they are', () => {
  const part = { slug: 'github', instructions: `  ${'x'.repeat(20_000)}\n` };

  expect(instructionsOf(upstreamOf(part), membersOf(gatewayOf([part]), [part]))).toBe(part.instructions);
});

test('long instructions share 16 KiB, and short ones are not cut for them', () => {
  const text = instructions([
    { slug: 'long', instructions: 'l'.repeat(20_000) },
    { slug: 'short', instructions: 's'.repeat(1000) },
    { slug: 'wide', instructions: '€'.repeat(10_000) },
  ]);

  expect(Buffer.byteLength(text ?? '')).toBeLessThanOrEqual(16_384);
  expect(Buffer.byteLength(text ?? '')).toBeGreaterThan(16_370);
  expect(text).toMatch(/^# long\nl{7000,8000}\n\n# short\ns{1000}\n\n# wide\n€{2300,2600}$/u);
});

test.each([100, 101, 102])('what is cut beside %i bytes of another upstream ends with a whole character', (size) => {
  const text = instructions([
    { slug: 'a', instructions: 'x'.repeat(size) },
    { slug: 'b', instructions: '€'.repeat(6000) },
  ]);

  expect(text).toMatch(/^# a\nx+\n\n# b\n€+$/u);
});

test('in SEARCH mode models are told how to find tools', () => {
  expect(instructions([{ slug: 'github', instructions: 'Be kind.' }], { discoveryMode: 'search' })).toBe(
    'Not all tools are listed: find the ones you need with search_tools, read one with describe_tool, and call it with call_tool.\n\n# github\nBe kind.',
  );
});
