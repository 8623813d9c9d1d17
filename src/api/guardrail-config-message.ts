import { create } from '@bufbuild/protobuf';
import {
  type GuardrailConfig as GuardrailConfigMessage,
  GuardrailConfigSchema,
} from '../../gen/portcullis/v1/guardrail_config_pb.ts';
import type { FieldViolation } from '../domain/errors.ts';
import type { GuardrailConfig } from '../domain/guardrail-config.ts';
import { asObject } from './json.ts';
import { findUnfitJson } from './open-json.ts';
import { present } from './present.ts';

/** The configuration as the API shows it. */
export function toGuardrailConfigMessage(config: GuardrailConfig): GuardrailConfigMessage {
  return create(GuardrailConfigSchema, {
    block: [...config.block],
    ...present({
      enabled: config.enabled,
      guardrailName: config.guardrailName,
      additionalConfig: asObject(config.additionalConfig),
    }),
  });
}

/** The configuration of a request, whose open JSON is for {@link findUnfitGuardrails} to check. */
export function fromGuardrailConfigMessage(message: GuardrailConfigMessage): GuardrailConfig {
  const { enabled, guardrailName, block, additionalConfig } = message;
  return { block, ...present({ enabled, guardrailName, additionalConfig }) };
}

/** True when it says nothing at all. */
export function isEmptyGuardrailConfig(config: GuardrailConfig): boolean {
  const { block, ...rest } = config;
  return block.length === 0 && Object.keys(rest).length === 0;
}

/** What keeps the configuration in this field from being stored. */
export function findUnfitGuardrails(field: string, message: GuardrailConfigMessage | undefined): FieldViolation[] {
  const { additionalConfig } = message ?? {};
  return additionalConfig === undefined ? [] : findUnfitJson(`${field}.additional_config`, additionalConfig);
}
