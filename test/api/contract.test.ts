import { execFileSync } from 'node:child_process';
import { fromBinary, isFieldSet } from '@bufbuild/protobuf';
import {
  FileDescriptorSetSchema,
  MethodOptions_IdempotencyLevel as Level,
  MethodOptionsSchema,
} from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { ErrorReasonSchema } from '../../gen/portcullis/v1/error_reason_pb.ts';
import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import { findAccess } from '../../src/api/access.ts';
import { SERVICES } from '../../src/api/routes.ts';

const methods = SERVICES.flatMap((service) =>
  service.methods.map((method) => ({ name: `${service.name}.${method.name}`, method })),
);

/** Who may call each method; a new method must be added here on purpose. */
const ACCESS: Record<string, unknown> = {
  'ProjectService.CreateProject': ['operator', true],
  'ProjectService.GetProject': ['scope', Scope.GATEWAY_READ],
  'ProjectService.ListProjects': ['scope', Scope.GATEWAY_READ],
  'ProjectService.UpdateProject': ['scope', Scope.GATEWAY_WRITE],
  'ProjectService.DeleteProject': ['operator', true],
  'AuthService.Login': ['public', true],
  'AuthService.RefreshToken': ['public', true],
  'AuthService.GetCaller': ['authenticated', true],
  'AuthService.ChangePassword': ['authenticated', true],
  'AuthService.CreateUser': ['scope', Scope.ADMIN],
  'AuthService.GetUser': ['scope', Scope.ADMIN],
  'AuthService.ListUsers': ['scope', Scope.ADMIN],
  'AuthService.UpdateUser': ['scope', Scope.ADMIN],
  'AuthService.DeleteUser': ['scope', Scope.ADMIN],
  'ApiKeyService.CreateApiKey': ['scope', Scope.GATEWAY_WRITE],
  'ApiKeyService.GetApiKey': ['scope', Scope.GATEWAY_READ],
  'ApiKeyService.ListApiKeys': ['scope', Scope.GATEWAY_READ],
  'ApiKeyService.UpdateApiKey': ['scope', Scope.GATEWAY_WRITE],
  'ApiKeyService.RotateApiKey': ['scope', Scope.GATEWAY_WRITE],
  'ApiKeyService.RevokeApiKey': ['scope', Scope.GATEWAY_WRITE],
  'UpstreamService.CreateUpstream': ['scope', Scope.GATEWAY_WRITE],
  'UpstreamService.GetUpstream': ['scope', Scope.GATEWAY_READ],
  'UpstreamService.ListUpstreams': ['scope', Scope.GATEWAY_READ],
  'UpstreamService.UpdateUpstream': ['scope', Scope.GATEWAY_WRITE],
  'UpstreamService.DeleteUpstream': ['scope', Scope.GATEWAY_WRITE],
  'UpstreamService.TestUpstream': ['scope', Scope.GATEWAY_WRITE],
  'UpstreamService.ListUpstreamTools': ['scope', Scope.GATEWAY_READ],
  'UpstreamTemplateService.CreateUpstreamTemplate': ['scope', Scope.GATEWAY_WRITE],
  'UpstreamTemplateService.ImportUpstreamTemplate': ['scope', Scope.GATEWAY_WRITE],
  'UpstreamTemplateService.GetUpstreamTemplate': ['scope', Scope.GATEWAY_READ],
  'UpstreamTemplateService.ListUpstreamTemplates': ['scope', Scope.GATEWAY_READ],
  'UpstreamTemplateService.DeleteUpstreamTemplate': ['scope', Scope.GATEWAY_WRITE],
  'GatewayService.CreateGateway': ['scope', Scope.GATEWAY_WRITE],
  'GatewayService.GetGateway': ['scope', Scope.GATEWAY_READ],
  'GatewayService.GetGatewayConfig': ['scope', Scope.GATEWAY_READ],
  'GatewayService.ListGateways': ['scope', Scope.GATEWAY_READ],
  'GatewayService.UpdateGateway': ['scope', Scope.GATEWAY_WRITE],
  'GatewayService.PatchGateway': ['scope', Scope.GATEWAY_WRITE],
  'GatewayService.DeleteGateway': ['scope', Scope.GATEWAY_WRITE],
  'GatewayService.UndeleteGateway': ['scope', Scope.GATEWAY_WRITE],
  'AgentService.CreateAgent': ['scope', Scope.GATEWAY_WRITE],
  'AgentService.GetAgent': ['scope', Scope.GATEWAY_READ],
  'AgentService.ListAgents': ['scope', Scope.GATEWAY_READ],
  'AgentService.UpdateAgent': ['scope', Scope.GATEWAY_WRITE],
  'AgentService.DeleteAgent': ['scope', Scope.GATEWAY_WRITE],
  'PolicyService.CreatePolicy': ['scope', Scope.GATEWAY_WRITE],
  'PolicyService.GetPolicy': ['scope', Scope.GATEWAY_READ],
  'PolicyService.ListPolicies': ['scope', Scope.GATEWAY_READ],
  'PolicyService.ListPolicyVersions': ['scope', Scope.GATEWAY_READ],
  'PolicyService.UpdatePolicy': ['scope', Scope.GATEWAY_WRITE],
  'PolicyService.DeletePolicy': ['scope', Scope.GATEWAY_WRITE],
  'PolicyService.SimulatePolicy': ['scope', Scope.GATEWAY_READ],
  'ApprovalService.GetApproval': ['authenticated', true],
  'ApprovalService.ListApprovals': ['authenticated', true],
  'ApprovalService.ApproveCall': ['scope', Scope.APPROVALS_DECIDE],
  'ApprovalService.DenyCall': ['scope', Scope.APPROVALS_DECIDE],
  'ApprovalService.BatchResolveApprovals': ['scope', Scope.APPROVALS_DECIDE],
  'ApprovalService.WatchApprovals': ['authenticated', true],
  'ToolService.ListTools': ['scope', Scope.TOOLS_CALL],
  'ToolService.CallTool': ['scope', Scope.TOOLS_CALL],
  'ToolService.Authorize': ['scope', Scope.TOOLS_CALL],
  'StatsService.GetStats': ['scope', Scope.GATEWAY_READ],
  'DecisionService.GetDecision': ['scope', Scope.GATEWAY_READ],
  'DecisionService.ListDecisions': ['scope', Scope.GATEWAY_READ],
  'DecisionService.WatchDecisions': ['scope', Scope.GATEWAY_READ],
};

function expectedLevel(name: string): Level[] {
  const verb = name.split('.')[1] ?? '';
  if (/^(Get|List|Watch|Simulate)/.test(verb)) {
    return [Level.NO_SIDE_EFFECTS];
  }
  return /^(Update|Patch|Delete|Undelete|Revoke|Test|Approve|Deny|BatchResolve)/.test(verb)
    ? [Level.IDEMPOTENT]
    : [Level.IDEMPOTENCY_UNKNOWN];
}

describe('the contract', () => {
  it('says for every method who may call it', () => {
    const found = methods.map(({ name, method }) => {
      const access = findAccess(method);
      return [name, [access?.case, access?.value]];
    });
    expect(Object.fromEntries(found)).toEqual(ACCESS);
  });

  it.each(methods)('sets the idempotency level of $name', ({ name, method }) => {
    const { options } = method.proto;
    expect(options && isFieldSet(options, MethodOptionsSchema.field.idempotencyLevel)).toBe(true);
    expect(expectedLevel(name)).toContain(method.idempotency);
  });

  it.each(methods.filter(({ name }) => /\.(Create|Import)/.test(name)))(
    'lets a repeat of $name be recognised',
    ({ method }) => {
      expect(method.input.field['requestId']?.scalar).toBeDefined();
    },
  );

  // A template never changes, so nothing can come between reading and deleting it.
  const changes = methods.filter(({ name }) => /\.(Update|Patch|Delete(?!UpstreamTemplate)|Revoke|Rotate)/.test(name));
  it.each(changes)('takes an etag for $name', ({ method }) => {
    expect(method.input.field['etag']).toBeDefined();
  });

  it.each(methods.filter(({ name }) => /\.List/.test(name)))('pages $name', ({ method }) => {
    expect(Object.keys(method.input.field)).toEqual(expect.arrayContaining(['pageSize', 'pageToken']));
    expect(Object.keys(method.output.field)).toContain('nextPageToken');
  });

  it('gives every method its own request and response', () => {
    for (const { method } of methods) {
      expect(method.input.name).toBe(`${method.name}Request`);
      expect(method.output.name).toBe(`${method.name}Response`);
    }
  });

  it('shows an example with its code for every error reason', () => {
    const image = execFileSync('node_modules/.bin/buf', ['build', '--as-file-descriptor-set', '-o', '-']);
    const file = fromBinary(FileDescriptorSetSchema, image).file.find(
      ({ name }) => name === 'portcullis/v1/error_reason.proto',
    );
    const comments = new Map(
      file?.sourceCodeInfo?.location.map(({ path, leadingComments }) => [path.join('.'), leadingComments]),
    );
    for (const [index, { name }] of [...ErrorReasonSchema.values.entries()].slice(1)) {
      const comment = comments.get(`5.0.2.${index}`);
      expect(comment).toMatch(/^ [A-Z_]+[ .]/);
      expect(comment).toContain(`Example: \`{"reason": "${name}", "domain": "portcullis"`);
    }
  });
});
