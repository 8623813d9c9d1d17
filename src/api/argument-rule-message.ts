import { create } from '@bufbuild/protobuf';
import {
  ArgumentConstraintSchema,
  type ArgumentRule as ArgumentRuleMessage,
  ArgumentRuleSchema,
  type ArgumentConstraint as ConstraintMessage,
  EvaluationMode,
} from '../../gen/portcullis/v1/policy_rule_pb.ts';
import type { ArgumentConstraint, RuleKind } from '../domain/policy.ts';
import { fromRefusalMessage, toEffectMessage } from './effect-message.ts';
import { present } from './present.ts';

type ArgumentRule = Extract<RuleKind, { kind: 'arguments' }>;

/** The rule about arguments as the API shows it. */
export function toArgumentRuleMessage({ constraints, evaluation }: ArgumentRule): ArgumentRuleMessage {
  return create(ArgumentRuleSchema, {
    constraints: constraints.map(toConstraintMessage),
    evaluation: evaluation === 'collect_all' ? EvaluationMode.COLLECT_ALL : EvaluationMode.FAIL_FAST,
  });
}

/** The rule about arguments of a request. */
export function fromArgumentRuleMessage({ constraints, evaluation }: ArgumentRuleMessage): ArgumentRule {
  return {
    kind: 'arguments',
    constraints: constraints.map(fromConstraintMessage),
    evaluation: evaluation === EvaluationMode.COLLECT_ALL ? 'collect_all' : 'fail_fast',
  };
}

function toConstraintMessage({ path, effect, required, notNull, type }: ArgumentConstraint): ConstraintMessage {
  return create(ArgumentConstraintSchema, {
    path,
    effect: toEffectMessage(effect),
    required,
    notNull,
    type: toTypeMessage(type),
  });
}

function fromConstraintMessage({ path, effect, required, notNull, type }: ConstraintMessage): ArgumentConstraint {
  return { path, effect: fromRefusalMessage(effect), required, notNull, ...present({ type: fromTypeMessage(type) }) };
}

function toTypeMessage(type: ArgumentConstraint['type']): ConstraintMessage['type'] {
  switch (type?.kind) {
    case undefined:
      return { case: undefined };
    case 'number':
      return create(ArgumentConstraintSchema, { type: { case: 'number', value: type } }).type;
    case 'string': {
      const value = { ...type, in: [...type.in], notIn: [...type.notIn] };
      return create(ArgumentConstraintSchema, { type: { case: 'string', value } }).type;
    }
    case 'array':
      return create(ArgumentConstraintSchema, { type: { case: 'array', value: type } }).type;
    case 'boolean':
      return create(ArgumentConstraintSchema, { type: { case: 'boolean', value: type } }).type;
  }
}

/** Only what the request sets is taken over: an unset bound differs from 0, an unset length from none. */
function fromTypeMessage({ case: kind, value }: ConstraintMessage['type']): ArgumentConstraint['type'] {
  switch (kind) {
    case undefined:
      return undefined;
    case 'number': {
      const { minimum, maximum, greaterThan, lessThan, greaterThanOrEqual, lessThanOrEqual } = value;
      const bounds = { minimum, maximum, greaterThan, lessThan, greaterThanOrEqual, lessThanOrEqual };
      return { kind: 'number', ...present(bounds) };
    }
    case 'string': {
      const { regex, notRegex, minLength, maxLength } = value;
      return {
        kind: 'string',
        in: value.in,
        notIn: value.notIn,
        ...present({ regex, notRegex, minLength, maxLength }),
      };
    }
    case 'array':
      return { kind: 'array', ...present({ minItems: value.minItems, maxItems: value.maxItems }) };
    case 'boolean':
      return { kind: 'boolean', ...present({ mustBe: value.mustBe }) };
  }
}
