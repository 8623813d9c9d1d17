import type { DescService } from '@bufbuild/protobuf';
import {
  type Client,
  Code,
  ConnectError,
  createClient,
  createRouterTransport,
  type Transport,
} from '@connectrpc/connect';
import { pino } from 'pino';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.ts';
import { type RequestFacts, setRequestFacts } from '../../src/api/context.ts';
import { type ApiLimits, type ApiRoutes, type ApiRoutesDeps, createApiRoutes } from '../../src/api/routes.ts';
import { createSecret } from '../../src/config/secret.ts';
import { createSecretBox } from '../../src/config/secret-box.ts';
import { withChange } from '../../src/db/config-changes.ts';
import { findProjectBySlug, insertProject } from '../../src/db/projects.ts';
import { openDatabase } from '../../src/db/store.ts';
import { findUserByUsername, insertUser } from '../../src/db/users.ts';
import { createDecisionWatch } from '../../src/decisions/decision-watch.ts';
import { newId, type PrincipalId, type ProjectId } from '../../src/domain/ids.ts';
import type { Principal, Scope } from '../../src/domain/principal.ts';
import { createHotConfig } from '../../src/snapshot/hot-config.ts';

export const NOW = Date.now();

/** An API, over a memory database unless another is given, with the projects `default` and `other`, each with a user who is its admin. */
export async function createInstallation(changes: Partial<ApiRoutesDeps> = {}, limits: ApiLimits = {}) {
  const store = changes.store ?? (await openDatabase({ kind: 'memory' }));
  const config = await createHotConfig(store);
  const box = createSecretBox(createSecret('k3J9-fWq2_Zr8LxT5vB7nM1cHd4Ys6Pa'));
  const logLines: string[] = [];
  const watch = createDecisionWatch({ log: store.log, onDecision: store.onDecision, heartbeatMs: 50, pollMs: 20 });
  const api = createApiRoutes(
    {
      log: pino({ level: 'info' }, { write: (line) => logLines.push(line) }),
      store,
      box,
      config,
      passwords: { hash: async (password) => `hash of ${password}`, verify: async () => false },
      logins: unused('logins'),
      stdioCommands: ['allowed-command'],
      probe: unused('probe'),
      calls: unused('calls'),
      approvals: unused('approvals'),
      simulate: unused<() => never>('simulate'),
      usage: { startTime: NOW, ofUpstream: () => ({ requests: 0, allowed: 0, denied: 0, approvalsRequired: 0 }) },
      health: { isHealthy: () => true },
      version: '1.2.3',
      watch: watch.watch,
      readiness: () => true,
      requireFreshConfig: () => {},
      ...changes,
    },
    limits,
  );
  const installation = {
    store,
    box,
    logLines,
    api,
    admin: await addUser(store, await addProject(store, 'default'), 'admin', ['admin']),
    otherAdmin: await addUser(store, await addProject(store, 'other'), 'other-admin', ['admin']),
    as: <Service extends DescService>(caller: Principal | undefined, service: Service): Client<Service> =>
      createClient(service, transportAs(api, caller === undefined ? {} : { caller })),
    async close() {
      config.close();
      await store.close();
    },
  };
  return installation;
}

export type Installation = Awaited<ReturnType<typeof createInstallation>>;

/** A transport on which every request has these facts, as the listener would give them. */
export function transportAs({ routes, options }: ApiRoutes, facts: Partial<RequestFacts>): Transport {
  const requestGate: ApiRoutes['options']['requestGate'] = (context) => {
    setRequestFacts(context.values, { requestId: 'request-1', ...facts });
    return options.requestGate?.(context);
  };
  return createRouterTransport(routes, { router: { ...options, requestGate } });
}

/** The same user with another credential. */
export function withRights(caller: Principal, ...scopes: readonly Scope[]): Principal {
  return { ...caller, scopes: new Set(scopes) };
}

/** What a refused request told its caller. */
export interface Refusal {
  readonly code: string;
  readonly reason: string | undefined;
  readonly message: string;
  readonly metadata: Record<string, string>;
  readonly requestId: string | undefined;
  readonly violations: readonly { field: string; description: string }[];
  readonly retrySeconds: bigint | undefined;
}

/** What the request was refused with; fails when it was not. */
export async function refusalOf(request: Promise<unknown>): Promise<Refusal> {
  const error = await request.then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason),
  );
  if (error === undefined) {
    throw new Error('the request was not refused');
  }
  const [info] = error.findDetails(ErrorInfoSchema);
  const [badRequest] = error.findDetails(BadRequestSchema);
  return {
    code: Code[error.code],
    reason: info?.reason,
    message: error.rawMessage,
    metadata: { ...info?.metadata },
    requestId: error.findDetails(RequestInfoSchema)[0]?.requestId,
    violations: (badRequest?.fieldViolations ?? []).map(({ field, description }) => ({ field, description })),
    retrySeconds: error.findDetails(RetryInfoSchema)[0]?.retryDelay?.seconds,
  };
}

/** All that a stream sends until `count` messages came or it ends. */
export async function take<T>(stream: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  for await (const item of stream) {
    taken.push(item);
    if (taken.length === count) {
      break;
    }
  }
  return taken;
}

async function addProject(store: ApiRoutesDeps['store'], slug: string): Promise<ProjectId> {
  const known = await findProjectBySlug(store.db, slug);
  if (known !== undefined) {
    return known.id;
  }
  const id = newId<ProjectId>();
  await withChange(store, 'project', id, (trx) =>
    insertProject(trx, {
      id,
      slug,
      displayName: '',
      recordedArguments: 'redacted',
      redactedKeys: [],
      defaultEffect: 'allow',
      revision: 1,
      createTime: NOW,
      updateTime: NOW,
    }),
  );
  return id;
}

/** Adds a user, unless there is one of the name, and returns it as the principal of a token. */
export async function addUser(
  store: ApiRoutesDeps['store'],
  projectId: ProjectId,
  username: string,
  scopes: readonly Scope[],
): Promise<Principal> {
  const known = await findUserByUsername(store.db, username);
  const id = known?.id ?? newId<PrincipalId>();
  const principal: Principal = {
    kind: 'user',
    id,
    projectId,
    name: username,
    scopes: new Set(scopes),
    grants: 'all',
    teams: [],
  };
  if (known !== undefined) {
    return principal;
  }
  await withChange(store, 'user', id, (trx) =>
    insertUser(trx, {
      id,
      projectId,
      username,
      email: '',
      passwordHash: 'hash',
      scopes,
      teams: [],
      disabled: false,
      tokensValidAfter: 0,
      revision: 1,
      createTime: NOW,
      updateTime: NOW,
    }),
  );
  return principal;
}

/** Stands for a part that the test does not use. */
function unused<Part extends object>(name: string): Part {
  const fail = () => {
    throw new Error(`${name} is not part of this test`);
  };
  // Every property of the part is a function that fails, and so is the part.
  return new Proxy(fail, { get: () => fail }) as unknown as Part;
}
