import { describe, expect, test } from 'vitest';
import { createNetworkGuard } from '../../src/upstream/network-guard.ts';

describe('the network guard', () => {
  test('lets public addresses pass', () => {
    const guard = createNetworkGuard([]);
    for (const address of ['1.1.1.1', '93.184.216.34', '2606:4700::1111']) {
      expect(guard.refusalOf(address)).toBeUndefined();
    }
  });

  test('refuses every address that is not public and says which setting allows it', () => {
    const guard = createNetworkGuard([]);
    const refused = [
      '127.0.0.1',
      '::1',
      '10.0.0.1',
      '172.16.0.1',
      '192.168.1.1',
      'fd00::1',
      '169.254.169.254',
      'fd00:ec2::254',
      'fd20:ce::254',
      '168.63.129.16',
      '100.100.100.200',
      '100.64.0.1',
      'fe80::1',
      '224.0.0.1',
      'ff02::1',
      '0.0.0.0',
      '::',
      '255.255.255.255',
      '::ffff:1.1.1.1',
      '::ffff:127.0.0.1',
      '::127.0.0.1',
      '64:ff9b::7f00:1',
      '2002:7f00:1::',
      '2001:db8::1',
      'fec0::1',
      '192.0.0.192',
      '4000::1',
    ];
    for (const address of refused) {
      const error = guard.refusalOf(address);
      expect([address, error?.reason]).toEqual([address, 'bad_gateway']);
      expect(error?.message).toContain('GATEWAY_UPSTREAM_NETWORKS');
      expect(error?.message).not.toContain(address);
    }
  });

  test('the word loopback allows loopback addresses and nothing else', () => {
    const guard = createNetworkGuard(['loopback']);
    expect(guard.refusalOf('127.0.0.1')).toBeUndefined();
    expect(guard.refusalOf('::1')).toBeUndefined();
    for (const address of ['10.0.0.1', '169.254.169.254', '::ffff:127.0.0.1', '0.0.0.0']) {
      expect([address, guard.refusalOf(address)?.reason]).toEqual([address, 'bad_gateway']);
    }
  });

  test('the word private allows private addresses but no metadata service', () => {
    const guard = createNetworkGuard(['private']);
    for (const address of ['10.0.0.1', '172.31.255.255', '192.168.0.1', 'fd12::1']) {
      expect([address, guard.refusalOf(address)]).toEqual([address, undefined]);
    }
    for (const address of ['127.0.0.1', '169.254.169.254', 'fd00:ec2::254']) {
      expect([address, guard.refusalOf(address)?.reason]).toEqual([address, 'bad_gateway']);
    }
  });

  test('a CIDR allows exactly its network, also a metadata service', () => {
    const guard = createNetworkGuard(['10.1.0.0/16', '169.254.169.254/32', '::ffff:10.1.0.0/112']);
    for (const address of ['10.1.2.3', '169.254.169.254', '::ffff:10.1.0.9']) {
      expect([address, guard.refusalOf(address)]).toEqual([address, undefined]);
    }
    for (const address of ['10.2.0.1', '169.254.169.253', '::ffff:10.2.0.1']) {
      expect([address, guard.refusalOf(address)?.reason]).toEqual([address, 'bad_gateway']);
    }
  });

  test('an entry that is neither a word nor a CIDR is a bad setting', () => {
    for (const entry of ['localhost', '10.0.0.1', '10.0.0.0/33', '']) {
      expect(() => createNetworkGuard([entry])).toThrow('GATEWAY_UPSTREAM_NETWORKS');
    }
  });
});
