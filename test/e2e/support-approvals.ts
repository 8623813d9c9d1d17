import { expect, vi } from 'vitest';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import type { PortcullisClient } from '../../sdk/src/client.ts';
import type { PortcullisError } from '../../sdk/src/errors.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { streamableHttp } from './support-api.ts';
import type { CleanUp } from './support-clean-up.ts';
import { effectRule, operatorOf, type PolicyContentInit, policyOf, sdkOf, slugRef } from './support-policies.ts';
import { addUser, type Caller } from './support-principals.ts';
import { type RecordingUpstream, startRecordingUpstream } from './support-recording-upstream.ts';

/** Arguments of a call; `call` tells it from all others. */
export type CallArguments = Record<string, string | number> & { readonly call: number };

export interface CallOptions {
  /** `caller` by default. */
  readonly who?: Pick<Caller, 'apiKey'>;
  /** The first gateway by default. */
  readonly at?: GatewayProcess;
  /** `act` by default. */
  readonly tool?: string;
  /** `shop` by default. */
  readonly upstream?: string;
}

/** Callers, approvers, an upstream, and policies that want calls approved. */
export interface ApprovalWorld {
  readonly operator: PortcullisClient;
  readonly recorder: RecordingUpstream;
  /** Has the scope tools:call. */
  readonly caller: Caller;
  /** Have approvals:decide too. */
  readonly approvers: Readonly<Record<'ann' | 'ben' | 'cid', Caller>>;
  /** What came of a call by ToolService: `passed`, or the error. */
  call(args: Record<string, unknown>, options?: CallOptions): Promise<'passed' | PortcullisError>;
  /** Calls, which must need approval; gives the approval's id. */
  ask(args: Record<string, unknown>, options?: CallOptions): Promise<string>;
  /** How many calls with these arguments reached the upstream. */
  forwarded(args: CallArguments): number;
}

let calls = 0;

/** Arguments that no other call has. */
export const freshArguments = (): CallArguments => ({ call: ++calls });

/** Prepares gateways of one database; `settings` are those of the policy for each tool. */
export async function createApprovalWorld(
  cleanUp: CleanUp,
  gateways: readonly [GatewayProcess, ...GatewayProcess[]],
  settings: (approverIds: string[]) => Readonly<Record<string, NonNullable<PolicyContentInit['approval']>>>,
): Promise<ApprovalWorld> {
  const recorder = await cleanUp.add(startRecordingUpstream(), ({ stop }) => stop());
  const operator = await operatorOf(gateways[0]);
  for (const slug of ['shop', 'outlet']) {
    await operator.upstreams.createUpstream({ slug, transport: streamableHttp(recorder.url) });
  }
  await operator.agents.createAgent({ slug: 'bot' });
  const decide = { scopes: [Scope.APPROVALS_DECIDE, Scope.TOOLS_CALL] };
  const ann = await addUser(operator, 'ann', decide);
  const ben = await addUser(operator, 'ben', decide);
  const cid = await addUser(operator, 'cid', decide);
  const ask = effectRule(Effect.REQUIRE_APPROVAL);
  for (const [tool, approval] of Object.entries(settings([ann.id, ben.id, cid.id]))) {
    await operator.policies.createPolicy({ slug: `ask-${tool}`, content: policyOf(tool, ask, { approval }) });
  }
  const caller = await addUser(operator, 'caller');
  await Promise.all(gateways.map((gateway) => knows(gateway, caller)));
  const calling = createCalling(gateways[0], caller);
  const forwarded = ({ call }: CallArguments) =>
    recorder.calls.filter(({ arguments: came }) => (came as CallArguments).call === call).length;
  return { operator, recorder, caller, approvers: { ann, ben, cid }, ...calling, forwarded };
}

/** Makes the calls of {@link ApprovalWorld} at a gateway. */
export function createCalling(first: GatewayProcess, caller: Caller): Pick<ApprovalWorld, 'call' | 'ask'> {
  const call: ApprovalWorld['call'] = (args, { who = caller, at = first, tool = 'act', upstream = 'shop' } = {}) =>
    sdkOf(at, who.apiKey)
      // The cast: callers give JSON.
      .tools.callTool({ upstream: slugRef(upstream), name: tool, arguments: args as Record<string, string> })
      .then(
        () => 'passed',
        (error: PortcullisError) => error,
      );
  return {
    call,
    async ask(args, options) {
      const refused = await call(args, options);
      expect(refused).toMatchObject({ reason: 'approval_required' });
      return (refused as PortcullisError).metadata['approval_id'] ?? '';
    },
  };
}

/** Resolves when a gateway has heard of a caller, who was made last. */
async function knows(gateway: GatewayProcess, { apiKey }: Caller): Promise<void> {
  const ask = () => sdkOf(gateway, apiKey).auth.getCaller({});
  await vi.waitFor(ask, { timeout: 10_000, interval: 20 });
}
