import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import type { PortcullisClient } from '../../sdk/src/client.ts';

/** Somebody who calls, with a key that reaches all upstreams. */
export interface Caller {
  readonly id: string;
  readonly apiKey: string;
  readonly apiKeyId: string;
}

interface CallerOptions {
  readonly teams?: string[];
  /** Slug of the project; the operator's own by default. */
  readonly project?: string;
  /** Of the caller and its key; `tools:call` by default. */
  readonly scopes?: Scope[];
}

const PASSWORD = 'a-password-of-no-use-77';

/** A new user with a key. */
export async function addUser(
  operator: PortcullisClient,
  username: string,
  { teams = [], project, scopes = [Scope.TOOLS_CALL] }: CallerOptions = {},
): Promise<Caller> {
  const { user } = await operator.auth.createUser({
    username,
    password: PASSWORD,
    scopes,
    teams: { teams },
    ...projectOf(project),
  });
  return addKey(operator, user?.id ?? '', { project, scopes });
}

/** A new agent with a key. */
export async function addAgent(
  operator: PortcullisClient,
  slug: string,
  {
    teams = [],
    project,
    scopes = [Scope.TOOLS_CALL],
    ownerId = '',
  }: CallerOptions & { readonly ownerId?: string } = {},
): Promise<Caller> {
  const { agent } = await operator.agents.createAgent({ slug, ownerId, teams: { teams }, ...projectOf(project) });
  return addKey(operator, agent?.id ?? '', { project, scopes });
}

/** A further key of a user or agent. */
export async function addKey(
  operator: PortcullisClient,
  ownerId: string,
  { project, scopes = [Scope.TOOLS_CALL] }: { project?: string | undefined; scopes?: Scope[] } = {},
): Promise<Caller> {
  const made = await operator.apiKeys.createApiKey({
    ownerId,
    scopes,
    grants: { allUpstreams: true },
    ...projectOf(project),
  });
  return { id: ownerId, apiKey: made.secret, apiKeyId: made.apiKey?.id ?? '' };
}

function projectOf(slug: string | undefined) {
  return slug === undefined ? {} : { project: { value: { case: 'slug' as const, value: slug } } };
}
