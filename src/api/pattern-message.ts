import { create } from '@bufbuild/protobuf';
import { CallPatternSchema, type CallPattern as PatternMessage } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import type { CallPattern } from '../domain/policy.ts';

/** The patterns as the API shows them. */
export function toPatternMessages(patterns: readonly CallPattern[]): PatternMessage[] {
  return patterns.map((pattern) => create(CallPatternSchema, pattern));
}

/** The patterns of a request. */
export function fromPatternMessages(messages: readonly PatternMessage[]): CallPattern[] {
  return messages.map(({ upstreamPattern, toolPattern }) => ({
    upstreamPattern: upstreamPattern === '' ? '*' : upstreamPattern,
    toolPattern,
  }));
}
