import { describe, expect, it } from 'vitest';
import { createPasswords } from '../../src/authn/password.ts';

const passwords = createPasswords();

describe('a password', () => {
  it('is kept as scrypt with its parameters and a salt of its own', async () => {
    const [first, second] = await Promise.all([passwords.hash('correct horse'), passwords.hash('correct horse')]);
    expect(first).toMatch(/^scrypt\$32768\$8\$1\$[\w-]{22}\$[\w-]{43}$/);
    expect(second).not.toBe(first);
  });

  it('is recognised, and no other is', async () => {
    const stored = await passwords.hash('correct horse');
    expect(await passwords.verify('correct horse', stored)).toBe(true);
    expect(await passwords.verify('correct horse ', stored)).toBe(false);
    expect(await passwords.verify('', stored)).toBe(false);
  });

  it('is recognised with the parameters it was stored with', async () => {
    // Made with Python: hashlib.scrypt(b'correct horse', salt=b'0123456789abcdef', n=1024, r=8, p=1, dklen=32)
    const stored = 'scrypt$1024$8$1$MDEyMzQ1Njc4OWFiY2RlZg$6g3umF-uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M';
    expect(await passwords.verify('correct horse', stored)).toBe(true);
    expect(await passwords.verify('correct hors', stored)).toBe(false);
  });

  it('is the same whichever way its accents are written', async () => {
    const stored = await passwords.hash('caf\u00e9-caf\u00e9');
    expect(await passwords.verify('cafe\u0301-cafe\u0301', stored)).toBe(true);
  });

  it('costs an unknown user the same work, and never fits', async () => {
    const stored = await passwords.hash('correct horse');
    const timeOf = async (hash: string | undefined) => {
      const start = performance.now();
      expect(await passwords.verify('wrong horse', hash)).toBe(false);
      return performance.now() - start;
    };
    const known = Math.min(await timeOf(stored), await timeOf(stored));
    const unknown = Math.min(await timeOf(undefined), await timeOf(undefined));
    // Without the work it is a thousandth; the bound leaves room for a busy machine.
    expect(unknown / known).toBeGreaterThan(0.2);
  });

  it('is hashed off the event loop', async () => {
    const turns: number[] = [];
    const timer = setInterval(() => turns.push(performance.now()), 5);
    await passwords.hash('correct horse');
    clearInterval(timer);
    expect(turns.length).toBeGreaterThan(2);
  });
});
