import { expect, it } from 'vitest';
import { addressBlock } from '../../src/authn/address-block.ts';

it.each([
  ['203.0.113.7', '203.0.113.7'],
  ['::ffff:203.0.113.7', '203.0.113.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['::1', '0:0:0:0::/64'],
  ['', ''],
])('the block of %j is %j', (address, block) => {
  expect(addressBlock(address)).toBe(block);
});
