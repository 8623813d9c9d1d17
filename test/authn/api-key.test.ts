import { describe, expect, it } from 'vitest';
import { createApiKey, hashApiKey, keyPrefixOf } from '../../src/authn/api-key.ts';
import { isWellFormedApiKey } from '../../src/config/api-key-form.ts';

const KEY = 'pc_Zk3vQ9sLx7Tb1RfYd5Wm0NcHg8JpUa4EiSo6KtVzXyB3d2V4O';

describe('an API key', () => {
  it('is pc_, 43 random digits and a checksum of 6', () => {
    const keys = Array.from({ length: 200 }, createApiKey);
    for (const key of keys) {
      expect(key).toMatch(/^pc_[0-9A-Za-z]{49}$/);
      expect(isWellFormedApiKey(key)).toBe(true);
    }
    expect(new Set(keys).size).toBe(200);
  });

  it('keeps its form and checksum from release to release', () => {
    expect(isWellFormedApiKey(KEY)).toBe(true);
    expect(isWellFormedApiKey(`pc_${'0'.repeat(43)}2CZclj`)).toBe(true);
  });

  it.each([
    ['a wrong digit', 'pc_Zk3vQ9sLx7Tb1RfYd5Wm0NcHg8JpUa4EiSo6KtVzXyC3d2V4O'],
    ['a wrong checksum', 'pc_Zk3vQ9sLx7Tb1RfYd5Wm0NcHg8JpUa4EiSo6KtVzXyB3d2V4P'],
    ['a digit too few', 'pc_Zk3vQ9sLx7Tb1RfYd5Wm0NcHg8JpUa4EiSo6KtVzXyB3d2V4'],
    ['another prefix', 'pk_Zk3vQ9sLx7Tb1RfYd5Wm0NcHg8JpUa4EiSo6KtVzXyB3d2V4O'],
    ['a sign that is no digit', 'pc_Zk3vQ9sLx7Tb1RfYd5Wm0NcHg8JpUa4EiSo6KtVzX-B3d2V4O'],
    ['a line feed at the end', `${KEY}\n`],
    ['nothing', ''],
  ])('is not well-formed with %s', (_name, text) => {
    expect(isWellFormedApiKey(text)).toBe(false);
  });

  it('is stored as its SHA-256 and shown as its first eleven characters', () => {
    expect(hashApiKey(KEY)).toBe('9faab459cefc880a3ca2cef150516a8ae21d3933ab72bcd56d80dbc256b49d01');
    expect(keyPrefixOf(KEY)).toBe('pc_Zk3vQ9sL');
  });
});
