import type { Approval } from '../domain/approval.ts';
import type { Project } from '../domain/project.ts';
import { createKeyRedaction, MASK } from '../domain/sensitive-keys.ts';

/** Longest text of arguments that an approval keeps, in UTF-16 code units. */
const MAX_LENGTH = 65_536;

/**
 * What an approval shows of the arguments to those who answer: JSON text with the values of sensitive names masked, whatever the
 * project's decisions keep; nothing when they keep nothing, or there are no arguments.
 */
export function maskArguments(
  args: unknown,
  { recordedArguments, redactedKeys }: Pick<Project, 'recordedArguments' | 'redactedKeys'>,
): Pick<Approval, 'argumentsJson' | 'argumentsRedacted'> {
  if (args === undefined || recordedArguments === 'none') return { argumentsRedacted: false };
  const isSensitive = createKeyRedaction(redactedKeys);
  let isMasked = false;
  const json = JSON.stringify(args, (key, value: unknown) => {
    if (!isSensitive(key)) return value;
    isMasked = true;
    return MASK;
  });
  return json.length <= MAX_LENGTH
    ? { argumentsJson: json, argumentsRedacted: isMasked }
    : { argumentsJson: JSON.stringify({ truncated: json.slice(0, MAX_LENGTH) }), argumentsRedacted: true };
}
