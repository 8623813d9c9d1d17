import { fromJson, type JsonObject, type JsonValue, toJson } from '@bufbuild/protobuf';
import { pathToString } from '@bufbuild/protobuf/reflect';
import { createValidator, type Validator } from '@bufbuild/protovalidate';
import { GatewaySchema, GatewayUpstreamSchema } from '../../gen/portcullis/v1/gateway_pb.ts';
import { type UpdateGatewayRequest, UpdateGatewayRequestSchema } from '../../gen/portcullis/v1/gateway_service_pb.ts';
import type { Gateway } from '../domain/gateway.ts';
import { DEFAULT_VERSION } from '../domain/target.ts';
import { toGatewayMessage } from './gateway-message.ts';
import { asObject } from './json.ts';
import { type PatchReport, patchMessage } from './message-patch.ts';
import { createValidationError } from './validation.ts';

/** A patched gateway, in the form of an update that sets everything. */
export interface GatewayPatchResult {
  readonly update: UpdateGatewayRequest;
  /** Where the patch has an entry of the result; `upstreams[i]` for one that it does not name. */
  readonly entryPath: (index: number) => string;
}

const PATCHABLE: ReadonlySet<string> = new Set([
  'display_name',
  'description',
  'common_overrides',
  'upstreams',
  'discovery_mode',
]);

const FIELDS = GatewaySchema.fields.filter(({ name }) => PATCHABLE.has(name));

const HINTS: PatchReport['hints'] = new Map([
  ['_delete', 'is for entries of upstreams only; null deletes other keys'],
  ['tool_definition_guardrails', 'holds for all upstreams; set it in common_overrides'],
]);

/**
 * Makes the function that applies the merge patch of PatchGateway, without storing anything. It throws `validation_failed` for keys and
 * values that are not a gateway's, and for a result that breaks the rules of the schema, with paths such as
 * `patch.upstreams[1].name_prefix`; what needs other resources is not checked.
 */
export function createGatewayPatch(): (gateway: Gateway, patch: JsonObject) => GatewayPatchResult {
  const validator = createValidator();
  return (gateway, patch) => {
    const stored = asObject(toJson(GatewaySchema, toGatewayMessage(gateway), { useProtoFieldName: true })) ?? {};
    const report: PatchReport = { violations: [], hints: HINTS };
    const { upstreams, ...others } = patch;
    const patched = patchMessage(FIELDS, stored, others, { path: 'patch', report });
    const entries = patchEntries(stored.upstreams, upstreams, report);
    throwAny(report.violations);
    const entryPath = (index: number) => {
      const patchIndex = entries[index]?.patchIndex;
      return patchIndex === undefined ? `upstreams[${index}]` : `patch.upstreams[${patchIndex}]`;
    };
    const update = toUpdate(gateway, patched, entries);
    throwAny(findViolations(validator, update, entryPath));
    return { update, entryPath };
  };
}

function throwAny(violations: PatchReport['violations']): void {
  if (violations.length > 0) {
    throw createValidationError(violations);
  }
}

/** An entry of `upstreams` in its JSON form. */
interface Entry {
  readonly json: JsonObject;
  /** Its place in the patch; absent = the patch does not name it. */
  readonly patchIndex?: number;
}

function patchEntries(stored: JsonValue | undefined, patch: JsonValue | undefined, report: PatchReport): Entry[] {
  const entries = new Map<string, Entry>();
  if (patch === null) {
    return [];
  }
  for (const json of asObjects(stored)) {
    entries.set(keyOf(json), { json });
  }
  if (patch !== undefined && !Array.isArray(patch)) {
    report.violations.push({ field: 'patch.upstreams', description: 'must be a list of entries, or null' });
  }
  const named = new Map<string, number>();
  for (const [patchIndex, item] of Array.isArray(patch) ? patch.entries() : []) {
    patchEntry(entries, named, { patchIndex, item, report });
  }
  return [...entries.values()];
}

function patchEntry(
  entries: Map<string, Entry>,
  named: Map<string, number>,
  { patchIndex, item, report }: { patchIndex: number; item: JsonValue; report: PatchReport },
): void {
  const path = `patch.upstreams[${patchIndex}]`;
  const violation = findEntryViolation(path, item);
  const changes = asObject(item);
  if (changes === undefined || violation !== undefined) {
    report.violations.push(violation ?? { field: path, description: 'must be an object' });
    return;
  }
  const key = keyOf(changes);
  const before = named.get(key);
  if (before !== undefined) {
    const description = `names the same slug and version as patch.upstreams[${before}]; put both changes into one entry`;
    report.violations.push({ field: path, description });
  }
  named.set(key, patchIndex);
  const { _delete, ...overrides } = changes;
  const old = entries.get(key)?.json ?? {};
  const json = patchMessage(GatewayUpstreamSchema.fields, old, overrides, { path, report });
  if (_delete === true) {
    entries.delete(key);
  } else {
    entries.set(key, { json, patchIndex });
  }
}

/** What is wrong with the keys that say which entry is meant, and what becomes of it. */
function findEntryViolation(path: string, item: JsonValue) {
  const { slug, version = null, _delete = false } = asObject(item) ?? { slug: 'none' };
  if (typeof slug !== 'string' || slug === '') {
    return { field: `${path}.slug`, description: 'must be the slug of an upstream; it says which entry is meant' };
  }
  if (version !== null && typeof version !== 'string') {
    return { field: `${path}.version`, description: 'must be the version of the upstream, a string' };
  }
  if (typeof _delete !== 'boolean') {
    return { field: `${path}._delete`, description: 'must be true, which removes the entry, or false' };
  }
  return undefined;
}

/** Which entry is meant. */
function keyOf(entry: JsonObject): string {
  return JSON.stringify([entry.slug, versionOf(entry)]);
}

function versionOf({ version }: JsonObject): string {
  return typeof version === 'string' && version !== '' ? version : DEFAULT_VERSION;
}

function asObjects(list: JsonValue | undefined): JsonObject[] {
  return Array.isArray(list) ? list.map(asObject).filter((object) => object !== undefined) : [];
}

function toUpdate(gateway: Gateway, patched: JsonObject, entries: readonly Entry[]): UpdateGatewayRequest {
  return fromJson(UpdateGatewayRequestSchema, {
    gateway: { id: gateway.id },
    display_name: patched.display_name ?? '',
    description: patched.description ?? '',
    common_overrides: patched.common_overrides ?? {},
    upstreams: { upstreams: entries.map(({ json }) => json) },
    discovery_mode: patched.discovery_mode ?? 'DISCOVERY_MODE_LIST',
  });
}

function findViolations(validator: Validator, update: UpdateGatewayRequest, entryPath: (index: number) => string) {
  const result = validator.validate(UpdateGatewayRequestSchema, update);
  if (result.kind === 'error') {
    throw result.error;
  }
  return (result.violations ?? []).map(({ field, message }) => ({
    field: toPatchPath(pathToString(field), entryPath),
    description: message,
  }));
}

/** The update has its entries in `upstreams.upstreams`. */
function toPatchPath(path: string, entryPath: (index: number) => string): string {
  const [, index, rest = ''] = /^upstreams\.upstreams\[([0-9]+)\](.*)$/.exec(path) ?? [];
  if (index !== undefined) {
    return `${entryPath(Number(index))}${rest}`;
  }
  return `patch.${path.replace(/^upstreams\.upstreams$/, 'upstreams')}`;
}
