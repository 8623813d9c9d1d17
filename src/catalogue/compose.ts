import { addressOf, isGateway, type Target } from '../domain/target.ts';
import type { Composition, CompositionProblem, OfferingMember } from './composition.ts';
import { exposePrompts } from './exposed-prompts.ts';
import { exposeResources } from './exposed-resources.ts';
import { exposeTools, findUnlistedTool, unlistedTool } from './exposed-tools.ts';
import { createResourceRouting } from './resource-routing.ts';
import { findUnlisted } from './unlisted.ts';

export interface ComposeOptions {
  /** A gateway, or an upstream that is composed alone because its clients speak another era: then what is not listed is its too. */
  readonly target: Target;
  /** In the order of the gateway's entries; exactly one for an upstream. */
  readonly members: readonly OfferingMember[];
  /** Upstreams that cannot be members now. */
  readonly missing?: readonly CompositionProblem[];
}

/** Composes what the members offer. Each kind is worked out when it is first asked for. */
export function compose({ target, members, missing = [] }: ComposeOptions): Composition {
  const only = isGateway(target) ? undefined : members[0];
  const isOnly = !isGateway(target) || target.upstreams.length === 1;
  const tools = lazy(() => exposeTools(members, isOnly));
  const prompts = lazy(() => exposePrompts(members, isOnly));
  const resources = lazy(() => exposeResources(members, 'uri'));
  const templates = lazy(() => exposeResources(members, 'uriTemplate'));
  const toolList = lazy(() => [...tools().byName.values()]);
  const promptList = lazy(() => [...prompts().byName.values()]);
  const resourceList = lazy(() => [...resources().byUri.values()]);
  const templateList = lazy(() => [...templates().byUri.values()]);
  const routing = createResourceRouting(members, resources, templates);
  const withheldTools = lazy(() => namesOf(tools().problems));
  const withheldPrompts = lazy(() => namesOf(prompts().problems));
  const problems = lazy(() => [
    ...missing,
    ...members.flatMap(offerProblem),
    ...[tools(), prompts(), resources(), templates()].flatMap(({ problems }) => problems),
  ]);

  return {
    members,
    get tools() {
      return toolList();
    },
    get prompts() {
      return promptList();
    },
    get resources() {
      return resourceList();
    },
    get resourceTemplates() {
      return templateList();
    },
    get problems() {
      return problems();
    },
    findTool(name) {
      const listed = tools().byName.get(name);
      if (listed !== undefined || only !== undefined) {
        return listed ?? (only && unlistedTool(only, name, name));
      }
      return withheldTools().has(name) ? undefined : findUnlistedTool(members, name, isOnly);
    },
    findPrompt(name) {
      const listed = prompts().byName.get(name);
      if (listed !== undefined || only !== undefined) {
        return listed ?? (only && { member: only, prompt: name });
      }
      const unlisted = withheldPrompts().has(name) ? undefined : findUnlisted(members, name);
      return unlisted && { member: unlisted.member, prompt: unlisted.rest };
    },
    findResource: (uri) => (only ? { member: only, upstreamUri: uri } : routing.findResource(uri)),
    findResourceTemplate: (uri) => (only ? { member: only, upstreamUri: uri } : routing.findTemplate(uri)),
    clash: (name, kind = 'tool') => (kind === 'tool' ? tools() : prompts()).clashes.get(name),
  };
}

function lazy<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function namesOf(problems: readonly CompositionProblem[]): ReadonlySet<string | undefined> {
  return new Set(problems.map(({ name }) => name));
}

function offerProblem({ upstream, offer }: OfferingMember): CompositionProblem[] {
  const { problem } = offer;
  return problem === undefined ? [] : [{ upstream: addressOf(upstream), name: undefined, message: problem.message }];
}
