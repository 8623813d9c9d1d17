import type { FieldViolation } from '../domain/errors.ts';
import { type Gateway, type GatewayUpstream, prefixOf } from '../domain/gateway.ts';
import type { GuardrailConfig } from '../domain/guardrail-config.ts';
import type { JsonObject } from '../domain/json.ts';
import { addressOf } from '../domain/target.ts';
import { asObject } from './json.ts';
import { findUnfitJson, pathKey, reservedKey } from './open-json.ts';

/** The parts of a gateway that its rules are about. */
export type GatewayContent = Pick<Gateway, 'commonOverrides' | 'upstreams'>;

/** Where a request has the parts of a gateway. */
export interface GatewayPaths {
  readonly commonOverrides: string;
  readonly entry: (index: number) => string;
}

/** Largest content of one gateway, as JSON in bytes: every replica holds it in memory. */
const MAX_BYTES = 512 * 1024;

/** What is wrong with a gateway across its fields, as far as it can be told without the upstreams. */
export function findGatewayViolations(content: GatewayContent, paths: GatewayPaths): FieldViolation[] {
  return [
    ...checkEntries(content, paths),
    ...checkGuardrails(content.commonOverrides, paths.commonOverrides),
    ...content.upstreams.flatMap((entry, index) => checkEntry(entry, paths.entry(index))),
    ...checkSize(content),
  ];
}

/** Each slug and version once, and each prefix but the empty one. */
function checkEntries(content: GatewayContent, { entry: pathOf }: GatewayPaths): FieldViolation[] {
  const addresses = new Map<string, string>();
  const prefixes = new Map<string, string>();
  return content.upstreams.flatMap((entry, index) => {
    const path = pathOf(index);
    const same = remember(addresses, addressOf(entry), path);
    if (same !== undefined) {
      return [{ field: path, description: `names the same slug and version as ${same}; name each upstream once` }];
    }
    const prefix = prefixOf(content, entry);
    const clashing = prefix === '' ? undefined : remember(prefixes, prefix, path);
    const description = `puts "${prefix}" before its names, as ${clashing} does; set another name_prefix`;
    return clashing === undefined ? [] : [{ field: `${path}.name_prefix`, description }];
  });
}

function checkEntry(entry: GatewayUpstream, path: string): FieldViolation[] {
  const names = new Map<string, string>();
  const tools = Object.entries(entry.tools).flatMap(([tool, { name, argumentDefaults, fixedArguments }]) => {
    const place = `tools[${JSON.stringify(pathKey(tool))}]`;
    const same = name === undefined ? undefined : remember(names, name, place);
    const description = `is what ${same} is called too; choose another name`;
    return [
      ...(same === undefined ? [] : [{ field: `${path}.${place}.name`, description }]),
      ...checkObject(argumentDefaults, `${path}.${place}.argument_defaults`),
      ...checkObject(fixedArguments, `${path}.${place}.fixed_arguments`),
    ];
  });
  const reserved = Object.hasOwn(entry.tools, '__proto__') ? [reservedKey(`${path}.tools`)] : [];
  return [...checkGuardrails(entry, path), ...reserved, ...tools];
}

/** The value stored under the key before; undefined when it is new, and then it is stored. */
function remember(known: Map<string, string>, key: string, value: string): string | undefined {
  const before = known.get(key);
  if (before === undefined) {
    known.set(key, value);
  }
  return before;
}

function checkGuardrails(
  configs: { readonly [Key in keyof Gateway['commonOverrides']]?: GuardrailConfig },
  path: string,
): FieldViolation[] {
  const { inputGuardrails, outputGuardrails, toolDefinitionGuardrails } = configs;
  return [
    ...checkObject(inputGuardrails?.additionalConfig, `${path}.input_guardrails.additional_config`),
    ...checkObject(outputGuardrails?.additionalConfig, `${path}.output_guardrails.additional_config`),
    ...checkObject(toolDefinitionGuardrails?.additionalConfig, `${path}.tool_definition_guardrails.additional_config`),
  ];
}

function checkObject(object: JsonObject | undefined, path: string): FieldViolation[] {
  return findUnfitJson(path, asObject(object) ?? {});
}

function checkSize(content: GatewayContent): FieldViolation[] {
  return Buffer.byteLength(JSON.stringify(content)) > MAX_BYTES
    ? [{ field: '', description: 'The gateway must be at most 512 KiB as JSON, with all its overrides.' }]
    : [];
}
