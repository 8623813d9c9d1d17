import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createApiKey } from '../../src/authn/api-key.ts';
import { findPasswordProblem, findSecretKeyProblem, findWeakness } from '../../src/config/secret-strength.ts';

describe('a key text', () => {
  it.each([
    ['one character', 'a'.repeat(43)],
    ['one character with an end', `${'a'.repeat(38)}Zk3vQ`],
    ['a repeated pair', 'ab'.repeat(21)],
    ['a repeated word', 'Zk3vQ9sL'.repeat(5)],
    ['a long repeated block', 'Zk3vQ9sLx7Tb1RfYd5Wm'.repeat(2)],
    ['pairs of the same character', 'aabbccddeeffgghhiijjkkllmmnnooppqqrrssttuuv'],
    ['an ascending sequence', 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ'],
    ['a descending sequence', 'zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVUT'],
    ['a sequence in steps of two', 'acegikmoqsuwybdfhjlnprtvxzACEGIKMOQSUWYBDFH'],
    ['digits that count', '0123456789012345678901234567890123456789012'],
    ['two sequences woven into each other', 'a0b1c2d3e4f5g6h7i8j9k0l1m2n3o4p5q6r7s8t9u0v'],
    ['a placeholder', 'change-me-1f9Zk3vQ9sLx7Tb1RfYd5Wm0NcHg8Jp'],
    ['a keyboard row', 'QwertyuiopAsdfghjklZxcvbnm1Zk3vQ9sLx7Tb1Rfx'],
  ])('is weak when it is %s', (_name, text) => {
    expect(findWeakness(text)).toBeTypeOf('string');
  });

  it('is not weak when it is random, whatever its alphabet', () => {
    for (let round = 0; round < 2000; round++) {
      expect(findWeakness(createApiKey().slice(3, -6))).toBe(undefined);
      expect(findWeakness(randomBytes(16).toString('hex'))).toBe(undefined);
      expect(findWeakness(randomBytes(32).toString('base64'))).toBe(undefined);
    }
  });
});

describe('a secret key', () => {
  it('has at least 32 characters', () => {
    expect(findSecretKeyProblem('T7vq0LrX2mWc9ZkP4sYb8HdN1fGj5uA')).toContain('at least 32 characters');
    expect(findSecretKeyProblem('T7vq0LrX2mWc9ZkP4sYb8HdN1fGj5uAe')).toBe(undefined);
  });

  it('is not easy to guess', () => {
    expect(findSecretKeyProblem('a'.repeat(32))).toContain('too easy to guess');
  });
});

describe('a password', () => {
  it.each([
    ['🙂🙃🙂🙃🙂🙃', 'must have 12 to 256 characters'],
    ['12345678901', 'must have 12 to 256 characters'],
    ['a'.repeat(257), 'must have 12 to 256 characters'],
    ['aaaaaaaaaaaa', 'must not be one character repeated'],
    ['123456789012', undefined],
    ['пароль-пароль', undefined],
  ])('%s', (text, problem) => {
    expect(findPasswordProblem(text)).toBe(problem);
  });
});
