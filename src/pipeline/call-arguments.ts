import { type ArgumentsRecord, describeArguments } from '../decisions/recorded-arguments.ts';
import type { Decision } from '../domain/decision.ts';
import type { Project } from '../domain/project.ts';
import type { GovernedCall } from './decision.ts';

/** What is kept of a call's arguments; undefined when it has none. */
export function describeCall(
  call: Pick<GovernedCall, 'arguments' | 'exactText'>,
  project: Project,
): ArgumentsRecord | undefined {
  return call.arguments === undefined
    ? undefined
    : describeArguments(call.arguments, project.recordedArguments, call.exactText, project.redactedKeys);
}

/** The same as the fields of a Decision. */
export function recordedFields(
  described: ArgumentsRecord | undefined,
): Pick<Decision, 'argumentsDigest' | 'argumentsJson' | 'argumentsRedacted'> {
  if (described === undefined) {
    return {};
  }
  const { digest, json, redacted } = described;
  return {
    argumentsDigest: digest,
    ...(json === undefined ? {} : { argumentsJson: json, argumentsRedacted: redacted }),
  };
}
