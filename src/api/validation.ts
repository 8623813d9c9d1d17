import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { pathToString } from '@bufbuild/protobuf/reflect';
import { createValidator, type Validator } from '@bufbuild/protovalidate';
import type { Interceptor } from '@connectrpc/connect';
import { type FieldViolation, GatewayError } from '../domain/errors.ts';

/** Refuses requests that break the rules in the schema, with every broken rule. Throws `validation_failed`. */
export function createValidation(): Interceptor {
  const validator = createValidator();
  return (next) => (request) => {
    if (request.stream) {
      return next({ ...request, message: validateEach(validator, request.method.input, request.message) });
    }
    validate(validator, request.method.input, request.message);
    return next(request);
  };
}

/** Violations, and characters of them, that are told at once: an error travels in headers, which are short. */
const MAX_VIOLATIONS = 20;
const MAX_CHARACTERS = 4_000;

/** The error for fields that break a rule; the message repeats the violations for people who see nothing else. */
export function createValidationError(all: readonly FieldViolation[]): GatewayError {
  const violations = firstOf(all);
  const list = violations.map(({ field, description }) => (field === '' ? description : `${field}: ${description}`));
  const rest = all.length > violations.length ? `; and ${all.length - violations.length} more` : '';
  return new GatewayError('validation_failed', `The request is not valid. ${list.join('; ')}${rest}`, { violations });
}

function firstOf(all: readonly FieldViolation[]): FieldViolation[] {
  const told: FieldViolation[] = [];
  let left = MAX_CHARACTERS;
  for (const violation of all.slice(0, MAX_VIOLATIONS)) {
    if (left <= 0) break;
    const field = shorten(violation.field, left);
    const description = shorten(violation.description, left - field.length);
    told.push({ field, description });
    left -= field.length + description.length;
  }
  return told;
}

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, Math.max(0, length))}…`;
}

const schemaRules = createValidator();

/** Which rules of its schema a message breaks that did not come with a request as it is. */
export function findBrokenRules<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): FieldViolation[] {
  return violationsOf(schemaRules, schema, message);
}

async function* validateEach<Desc extends DescMessage>(
  validator: Validator,
  schema: Desc,
  messages: AsyncIterable<MessageShape<Desc>>,
): AsyncGenerator<MessageShape<Desc>> {
  for await (const message of messages) {
    validate(validator, schema, message);
    yield message;
  }
}

function validate<Desc extends DescMessage>(validator: Validator, schema: Desc, message: MessageShape<Desc>): void {
  const violations = violationsOf(validator, schema, message);
  if (violations.length > 0) {
    throw createValidationError(violations);
  }
}

function violationsOf<Desc extends DescMessage>(
  validator: Validator,
  schema: Desc,
  message: MessageShape<Desc>,
): FieldViolation[] {
  const result = validator.validate(schema, message);
  if (result.kind === 'error') {
    throw result.error;
  }
  return result.kind === 'valid'
    ? []
    : result.violations.map(({ field, message: description }) => ({ field: pathToString(field), description }));
}
