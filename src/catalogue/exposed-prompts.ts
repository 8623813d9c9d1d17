import { addressOf } from '../domain/target.ts';
import { type Settlement, settleClaims } from './claims.ts';
import type { CompositionProblem, ExposedPrompt, OfferingMember } from './composition.ts';
import { NOT_OFFERABLE } from './definition-json.ts';
import { exposedName } from './names.ts';
import { shownPrompt } from './tool-definition.ts';

/** The prompts of all members that get a name, in the order of the members. */
export function exposePrompts(members: readonly OfferingMember[], isOnly: boolean): Settlement<ExposedPrompt> {
  const problems: CompositionProblem[] = [];
  const claims = members.flatMap((member) => promptsOf(member, isOnly, problems));
  const settlement = settleClaims('prompt', claims, (one, other) => one.prompt === other.prompt);
  return { ...settlement, problems: [...problems, ...settlement.problems] };
}

function promptsOf(member: OfferingMember, isOnly: boolean, problems: CompositionProblem[]): ExposedPrompt[] {
  const address = addressOf(member.upstream);
  const naming = { address, prefix: member.prefix, isOnly };
  const prompts: ExposedPrompt[] = [];
  for (const source of member.offer.prompts) {
    const prompt = source['name'];
    if (typeof prompt !== 'string') {
      continue;
    }
    const name = exposedName(naming, prompt);
    const { definition, json } = shownPrompt(source, { address, name });
    if (json === undefined) {
      const message = `The prompt '${prompt}' of the upstream '${address}' is not offered: ${NOT_OFFERABLE}.`;
      problems.push({ upstream: address, name, message });
      continue;
    }
    prompts.push({ name, member, prompt, definition, json });
  }
  return prompts;
}
