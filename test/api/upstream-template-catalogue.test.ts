import { describe, expect, it } from 'vitest';
import { createShippedTemplates, readCatalogue } from '../../src/api/shipped-templates.ts';

describe('the catalogue of templates', () => {
  it('that ships with the server is valid, entry by entry', () => {
    const shipped = createShippedTemplates();
    expect([...shipped().values()].map(({ slug, content: { transport } }) => [slug, transport.kind])).toEqual([
      ['context7', 'streamable_http'],
      ['deepwiki', 'streamable_http'],
      ['everything', 'stdio'],
      ['fetch', 'stdio'],
      ['filesystem', 'stdio'],
      ['git', 'stdio'],
      ['github', 'streamable_http'],
      ['memory', 'stdio'],
      ['sentry', 'streamable_http'],
      ['sequential-thinking', 'stdio'],
      ['time', 'stdio'],
    ]);
    for (const { displayName, description, documentationUrl } of shipped().values()) {
      expect(displayName).not.toBe('');
      expect(description).toMatch(/^[A-Z].*\.$/);
      expect(documentationUrl).toMatch(/^https:\/\//);
    }
    expect(shipped()).toBe(shipped());
  });

  it.each([
    ['is a list', 'slug: x', 'The catalogue of templates must be a list.'],
    [
      'knows its fields',
      '[{slug: x, name: y}]',
      'The catalogue of templates is broken, entry 1: Error: cannot decode message portcullis.v1.CreateUpstreamTemplateRequest from JSON: key "name" is unknown',
    ],
    [
      'keeps to the limits of the schema',
      '[{slug: X, content: {transport: {sse: {url: "https://x.example"}}}}]',
      'The catalogue of templates is broken, entry 1: GatewayError: The request is not valid. slug:',
    ],
    [
      'keeps to the rules of templates',
      '[{slug: x, content: {transport: {sse: {url: "https://x.example"}}, settings: [{name: a}]}}]',
      'The catalogue of templates is broken, entry 1: GatewayError: The request is not valid. content.settings[0]: is used nowhere',
    ],
    [
      'names each slug once',
      '[{slug: x, content: &a {transport: {sse: {url: "https://x.example"}}}}, {slug: x, content: *a}]',
      'Two templates of the catalogue have the same slug.',
    ],
  ])('%s', (_, text, message) => {
    expect(() => readCatalogue(text)).toThrow(message);
  });
});
