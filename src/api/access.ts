import { type DescMethod, getOption, hasOption } from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import { type Access, access } from '../../gen/portcullis/v1/access_pb.ts';
import { GatewayError } from '../domain/errors.ts';
import type { ProjectId } from '../domain/ids.ts';
import { hasScope, type Principal, type Scope } from '../domain/principal.ts';
import type { Project } from '../domain/project.ts';
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
      getCaller(context.values);
      return;
    case 'scope':
      return checkScope(getCaller(context.values), fromScopeMessages([needed.value])[0]);
    case 'operator':
      return checkOperator(getCaller(context.values), isOperator);
    default:
      throw new GatewayError(
        'permission_denied',
        'This method is not open to anybody: it does not say who may call it.',
      );
  }
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
  checkScope(caller, 'admin');
  if (!isOperator(caller)) {
    throw new GatewayError('permission_denied', 'Only admins of the project "default" may do this.');
  }
}
