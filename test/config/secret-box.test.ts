import { describe, expect, it } from 'vitest';
import { createSecret } from '../../src/config/secret.ts';
import { createSecretBox } from '../../src/config/secret-box.ts';
import { GatewayError } from '../../src/domain/errors.ts';

const KEY = createSecret('T7vq0LrX2mWc9ZkP4sYb8HdN1fGj5uAe');
const OLD_KEY = createSecret('b3ViaGVyLWtleS1vZi1hLXJlcGxpY2E6');

function refusal(message: RegExp) {
  return expect.objectContaining({
    constructor: GatewayError,
    reason: 'internal',
    message: expect.stringMatching(message),
  });
}

describe('a secret box', () => {
  it('opens what it sealed, and seals the same text differently each time', async () => {
    const box = createSecretBox(KEY);
    const sealed = await box.seal('upstream', 'grüße 🙂');
    expect(await box.open('upstream', sealed)).toBe('grüße 🙂');
    expect(await box.seal('upstream', 'grüße 🙂')).not.toBe(sealed);
    expect(sealed).toMatch(/^[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+$/);
  });

  it('opens what another box with the same key sealed', async () => {
    const sealed = await createSecretBox(KEY).seal('upstream', 'text');
    expect(await createSecretBox(createSecret(KEY.reveal())).open('upstream', sealed)).toBe('text');
  });

  it('does not open for another purpose', async () => {
    const box = createSecretBox(KEY);
    const sealed = await box.seal('upstream', 'text');
    await expect(box.open('session', sealed)).rejects.toStrictEqual(refusal(/cannot be opened/));
  });

  it('opens what a previous key sealed, and seals with the new one', async () => {
    const sealed = await createSecretBox(OLD_KEY).seal('upstream', 'text');
    const rotated = createSecretBox(KEY, [OLD_KEY]);
    expect(await rotated.open('upstream', sealed)).toBe('text');
    expect(await createSecretBox(KEY).open('upstream', await rotated.seal('upstream', 'new'))).toBe('new');
  });

  it('says which setting helps when the key is gone', async () => {
    const sealed = await createSecretBox(OLD_KEY).seal('upstream', 'text');
    await expect(createSecretBox(KEY).open('upstream', sealed)).rejects.toStrictEqual(
      refusal(/GATEWAY_PREVIOUS_SECRET_KEYS/),
    );
  });

  it('refuses every change of a sealed text', async () => {
    const box = createSecretBox(KEY);
    const sealed = await box.seal('upstream', 'some text');
    for (const part of [0, 2, 3, 4]) {
      const parts = sealed.split('.');
      const text = parts[part] ?? '';
      parts[part] = `${text.startsWith('A') ? 'B' : 'A'}${text.slice(1)}`;
      await expect(box.open('upstream', parts.join('.'))).rejects.toStrictEqual(refusal(/cannot be opened/));
    }
    await expect(box.open('upstream', 'no token')).rejects.toStrictEqual(refusal(/cannot be opened/));
    await expect(box.open('upstream', '')).rejects.toStrictEqual(refusal(/cannot be opened/));
  });

  it('keeps the secret key out of the sealed text and its header', async () => {
    const sealed = await createSecretBox(KEY).seal('upstream', 'text');
    const header = Buffer.from(sealed.split('.')[0] ?? '', 'base64url').toString();
    expect(JSON.parse(header)).toStrictEqual({ alg: 'dir', enc: 'A256GCM', kid: expect.stringMatching(/^[\w-]{11}$/) });
    expect(sealed).not.toContain(KEY.reveal());
  });
});
