/** The contract `portcullis.v1`: messages, schemas, enums and services, with the functions of protobuf-es that they need most. */
export { create, fromJson, type MessageInitShape, type MessageShape, toJson, toJsonString } from '@bufbuild/protobuf';
export {
  type Duration,
  durationFromMs,
  durationMs,
  type Timestamp,
  timestampDate,
  timestampFromDate,
  timestampFromMs,
  timestampMs,
} from '@bufbuild/protobuf/wkt';
export * from '../../gen/portcullis/v1/access_pb.ts';
export * from '../../gen/portcullis/v1/agent_pb.ts';
export * from '../../gen/portcullis/v1/agent_service_pb.ts';
export * from '../../gen/portcullis/v1/api_key_pb.ts';
export * from '../../gen/portcullis/v1/api_key_service_pb.ts';
export * from '../../gen/portcullis/v1/approval_pb.ts';
export * from '../../gen/portcullis/v1/approval_service_pb.ts';
export * from '../../gen/portcullis/v1/auth_service_pb.ts';
export * from '../../gen/portcullis/v1/decision_pb.ts';
export * from '../../gen/portcullis/v1/decision_service_pb.ts';
export * from '../../gen/portcullis/v1/error_reason_pb.ts';
export * from '../../gen/portcullis/v1/gateway_pb.ts';
export * from '../../gen/portcullis/v1/gateway_service_pb.ts';
export * from '../../gen/portcullis/v1/guardrail_config_pb.ts';
export * from '../../gen/portcullis/v1/policy_pb.ts';
export * from '../../gen/portcullis/v1/policy_rule_pb.ts';
export * from '../../gen/portcullis/v1/policy_service_pb.ts';
export * from '../../gen/portcullis/v1/principal_kind_pb.ts';
export * from '../../gen/portcullis/v1/principal_pb.ts';
export * from '../../gen/portcullis/v1/project_pb.ts';
export * from '../../gen/portcullis/v1/project_service_pb.ts';
export * from '../../gen/portcullis/v1/scope_pb.ts';
export * from '../../gen/portcullis/v1/stats_service_pb.ts';
export * from '../../gen/portcullis/v1/team_pb.ts';
export * from '../../gen/portcullis/v1/tool_pb.ts';
export * from '../../gen/portcullis/v1/tool_service_pb.ts';
export * from '../../gen/portcullis/v1/upstream_pb.ts';
export * from '../../gen/portcullis/v1/upstream_service_pb.ts';
export * from '../../gen/portcullis/v1/upstream_template_pb.ts';
export * from '../../gen/portcullis/v1/upstream_template_service_pb.ts';
export * from '../../gen/portcullis/v1/user_pb.ts';
