import { readFileSync } from 'node:fs';
import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { parse } from 'yaml';
import { CreateUpstreamTemplateRequestSchema } from '../../gen/portcullis/v1/upstream_template_service_pb.ts';
import type { TemplateEntry } from '../domain/upstream-template.ts';
import { type ReadEntry, readTemplateEntry } from './template-entry.ts';
import { createValidationError, findBrokenRules } from './validation.ts';

/** The templates that the server ships with, by slug, in the order of their slugs. */
export type ShippedTemplates = ReadonlyMap<string, TemplateEntry>;

const CATALOGUE = new URL('../templates/catalogue.yaml', import.meta.url);

/** The catalogue that the server ships with, read when it is first asked for. Throws for what CreateUpstreamTemplate would refuse. */
export function createShippedTemplates(): () => ShippedTemplates {
  let templates: ShippedTemplates | undefined;
  return () => (templates ??= readCatalogue(readFileSync(CATALOGUE, 'utf8')));
}

/** Reads the text of a catalogue: a YAML list of what CreateUpstreamTemplate takes. */
export function readCatalogue(text: string): ShippedTemplates {
  const items: unknown = parse(text);
  if (!Array.isArray(items)) throw new Error('The catalogue of templates must be a list.');
  const entries = items.map((item, index) => readItem(item as JsonValue, `entry ${index + 1}`)); // YAML of JSON's types
  entries.sort((one, other) => (one.slug < other.slug ? -1 : 1));
  const bySlug = new Map(entries.map((entry) => [entry.slug, entry]));
  if (bySlug.size < entries.length) throw new Error('Two templates of the catalogue have the same slug.');
  return bySlug;
}

function readItem(item: JsonValue, name: string): TemplateEntry {
  try {
    const described = fromJson(CreateUpstreamTemplateRequestSchema, item, { ignoreUnknownFields: false });
    const broken = findBrokenRules(CreateUpstreamTemplateRequestSchema, described);
    const read: ReadEntry = broken.length > 0 ? { violations: broken } : readTemplateEntry(described);
    if (read.entry === undefined) throw createValidationError(read.violations);
    return read.entry;
  } catch (error) {
    throw new Error(`The catalogue of templates is broken, ${name}: ${String(error)}`, { cause: error });
  }
}
