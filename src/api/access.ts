import { type DescMethod, getOption, hasOption } from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import { type Access, access } from '../../gen/portcullis/v1/access_pb.ts';
import { Scope as ScopeMessage } from '../../gen/portcullis/v1/scope_pb.ts';
import { GatewayError } from '../domain/errors.ts';
import type { ProjectId } from '../domain/ids.ts';
import { hasScope, type Principal, type Scope } from '../domain/principal.ts';
import type { Project } from '../domain/project.ts';
import { requireActive } from './active-agent.ts';
import { getCaller } from './context.ts';
import { fromScopeMessages } from './scope-message.ts';

/** Tells whether a principal is an operator of the installation: an admin of the project `default`. */
export type IsOperator = (principal: Principal) => boolean;

/** Makes the check for operators; the project `default` is known by its slug, which never changes. */
export function createOperatorCheck(config: { getProject(id: ProjectId): Project }): IsOperator {
  return (principal) => hasScope(principal, 'admin') && config.getProject(principal.projectId).slug === 'default';
}

/** Services of other packages, which cannot carry the option; everybody may call them. */
const PUBLIC_SERVICES: ReadonlySet<string> = new Set(['grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection']);

/** The `(portcullis.v1.access)` option of a method. */
export function findAccess(method: DescMethod): Access['caller'] | undefined {
  let known = accessOf.get(method);
  if (known === undefined) {
    known = { caller: readAccess(method) };
    accessOf.set(method, known);
  }
  return known.caller;
}

/** Options are kept as bytes; reading them costs more than all other checks of a request. */
const accessOf = new WeakMap<DescMethod, { readonly caller: Access['caller'] | undefined }>();

function readAccess(method: DescMethod): Access['caller'] | undefined {
  if (PUBLIC_SERVICES.has(method.parent.typeName)) {
    return { case: 'public', value: true };
  }
  return hasOption(method, access) ? getOption(method, access).caller : undefined;
}

/**
 * Lets a request pass when its caller may call the method; a method that says nothing about access is denied to all. Runs before the
 * body is read. Throws `permission_denied`, or why there is no caller.
 */
export function checkAccess(context: Pick<HandlerContext, 'method' | 'values'>, isOperator: IsOperator): void {
  const needed = findAccess(context.method);
  switch (needed?.case) {
    case 'public':
      return;
    case 'authenticated':
      return requireActive(getCaller(context.values));
    case 'scope':
      return checkScopeOf(context, needed.value);
    case 'operator':
      return checkOperator(getCaller(context.values), isOperator);
    default:
      throw new GatewayError(
        'permission_denied',
        'This method is not open to anybody: it does not say who may call it.',
      );
  }
}

function checkScopeOf({ values }: Pick<HandlerContext, 'values'>, needed: ScopeMessage): void {
  const caller = getCaller(values);
  // Calls of an agent that is not ACTIVE are denied too, but on the path of a call, where the denial is recorded.
  if (needed !== ScopeMessage.TOOLS_CALL) {
    requireActive(caller);
  }
  checkScope(caller, fromScopeMessages([needed])[0]);
}

function checkScope(caller: Principal, scope: Scope | undefined): void {
  if (scope === undefined || !hasScope(caller, scope)) {
    const needed = scope ?? 'admin';
    throw new GatewayError('permission_denied', `This needs a credential with the scope "${needed}".`, {
      metadata: { required_permissions: needed },
    });
  }
}

function checkOperator(caller: Principal, isOperator: IsOperator): void {
  requireActive(caller);
  checkScope(caller, 'admin');
  if (!isOperator(caller)) {
    throw new GatewayError('permission_denied', 'Only admins of the project "default" may do this.');
  }
}
