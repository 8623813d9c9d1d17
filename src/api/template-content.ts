import { clone, create } from '@bufbuild/protobuf';
import {
  UpstreamEnvVariableSchema,
  UpstreamHeaderSchema,
  type UpstreamTransport,
  UpstreamTransportSchema,
} from '../../gen/portcullis/v1/upstream_pb.ts';
import {
  type UpstreamTemplateContent,
  UpstreamTemplateContentSchema,
} from '../../gen/portcullis/v1/upstream_template_pb.ts';
import { type FieldViolation, GatewayError } from '../domain/errors.ts';
import type { Transport } from '../domain/upstream.ts';
import type { TemplateContent, TemplateSetting } from '../domain/upstream-template.ts';
import { checkContent } from '../templates/check-content.ts';
import { isBase } from '../templates/fill-url.ts';
import { fillText, parseText } from '../templates/places.ts';
import { fromTemplateSettingMessage } from './template-content-message.ts';
import { fromTransportMessage } from './transport-message.ts';
import { findViolations } from './upstream-rules.ts';
import { mergeSecrets } from './upstream-secrets.ts';
import { findBrokenRules } from './validation.ts';

/** The content of a template that is to be saved, or what is wrong with it; fields are relative to the content. */
export type ReadContent =
  | { readonly content: TemplateContent; readonly violations?: never }
  | { readonly content?: never; readonly violations: readonly FieldViolation[] };

/** Stand for the values of settings while the text around them is checked; a port takes only the second. */
const SAMPLES = ['x', '1'];
const SAMPLE_URL = 'https://x.example';

/** Reads and checks the content of a template by the rules that upstreams have, and by those of places and settings. */
export function readTemplateContent(message: UpstreamTemplateContent): ReadContent {
  const broken = findBrokenRules(UpstreamTemplateContentSchema, message);
  const transportMessage = message.transport;
  if (broken.length > 0 || transportMessage === undefined) return { violations: broken };
  const settings = message.settings.map(fromTemplateSettingMessage);
  const read = readTransport(transportMessage, settings);
  if (!('transport' in read)) {
    const shape = checkUrlShape(transportMessage, settings);
    return { violations: shape.length > 0 ? shape : read.violations };
  }
  const { transport } = read;
  const merged = mergeSecrets({ headers: toNamed(message.headers), env: toNamed(message.env) });
  const { headers = {}, env = {} } = merged.secrets;
  const content = { transport, headers, env, settings };
  const violations = [
    ...findViolations(transport, merged).map(({ field, description }) => ({
      field: field.replace(/\[.*/, ''), // a map has no indexes
      description,
    })),
    ...checkValues(content),
    ...checkContent(content),
  ];
  return violations.length === 0 ? { content } : { violations };
}

/** What is wrong with the places of a URL that is none, which tells more than that. */
function checkUrlShape(message: UpstreamTransport, settings: readonly TemplateSetting[]): FieldViolation[] {
  const url = urlOf(message);
  if (url === undefined) return [];
  const transport: Transport =
    message.value.case === 'sse' ? { kind: 'sse', url, sharing: 'per_principal' } : { kind: 'streamable_http', url };
  return checkContent({ transport, headers: {}, env: {}, settings }).filter(({ field }) => field.endsWith('.url'));
}

/** The transport with its places; what surrounds them is checked with samples in them. */
function readTransport(
  message: UpstreamTransport,
  settings: readonly TemplateSetting[],
): { readonly transport: Transport } | { readonly violations: readonly FieldViolation[] } {
  const attempts = SAMPLES.map((sample) => tryTransport(fillUrlSample(message, settings, sample)));
  const found = attempts.find((attempt) => 'transport' in attempt);
  if (found === undefined || !('transport' in found)) return attempts[0] ?? { violations: [] };
  const { transport } = found;
  const url = urlOf(message);
  return { transport: transport.kind === 'stdio' || url === undefined ? transport : { ...transport, url } };
}

function tryTransport(message: UpstreamTransport): ReturnType<typeof readTransport> {
  const violations = findBrokenRules(UpstreamTransportSchema, message).map(({ field, description }) => ({
    field: `transport.${field}`,
    description,
  }));
  if (violations.length > 0) return { violations };
  // Which commands may run is asked when an upstream is made.
  const commands = message.value.case === 'stdio' ? [message.value.value.command] : [];
  try {
    return { transport: fromTransportMessage(message, commands) };
  } catch (error) {
    if (error instanceof GatewayError) return { violations: error.violations };
    throw error;
  }
}

function fillUrlSample(
  message: UpstreamTransport,
  settings: readonly TemplateSetting[],
  sample: string,
): UpstreamTransport {
  const parsed = parseText(urlOf(message) ?? '') ?? [];
  const find = (name: string) => settings.find((setting) => setting.name === name);
  const [first] = parsed;
  const base = isBase(parsed, 0, find) && first !== undefined && 'setting' in first ? first.setting : undefined;
  const filled = clone(UpstreamTransportSchema, message);
  if (filled.value.case === 'streamableHttp' || filled.value.case === 'sse') {
    filled.value.value.url = fillText(parsed, (name) => (name === base ? SAMPLE_URL : sample)) ?? '';
  }
  return filled;
}

function urlOf({ value }: UpstreamTransport): string | undefined {
  return value.case === 'streamableHttp' || value.case === 'sse' ? value.value.url : undefined;
}

function checkValues({ headers, env }: TemplateContent): FieldViolation[] {
  return [
    ...Object.entries(headers).flatMap(([name, text]) =>
      findBrokenRules(UpstreamHeaderSchema, create(UpstreamHeaderSchema, { name, value: sampleOf(text) })).map(
        ({ field, description }) => ({
          field: 'headers',
          description: `"${name.slice(0, 100)}" ${field}: ${description}`,
        }),
      ),
    ),
    ...Object.entries(env).flatMap(([name, text]) =>
      findBrokenRules(
        UpstreamEnvVariableSchema,
        create(UpstreamEnvVariableSchema, { name, value: sampleOf(text) }),
      ).map(({ field, description }) => ({
        field: 'env',
        description: `"${name.slice(0, 100)}" ${field}: ${description}`,
      })),
    ),
  ];
}

function sampleOf(text: string): string {
  return fillText(parseText(text) ?? [], () => 'x') ?? '';
}

function toNamed(values: Readonly<Record<string, string>>): { name: string; value: string }[] {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}
