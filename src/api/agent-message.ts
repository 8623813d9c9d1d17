import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  type Agent as AgentMessage,
  AgentSchema,
  AgentState as StateMessage,
} from '../../gen/portcullis/v1/agent_pb.ts';
import type { Agent, AgentState } from '../domain/agent.ts';
import { fromEnumMessage } from './enum-message.ts';
import { etagOf } from './etag.ts';

const STATES: Readonly<Record<AgentState, StateMessage>> = {
  active: StateMessage.ACTIVE,
  suspended: StateMessage.SUSPENDED,
  revoked: StateMessage.REVOKED,
};

/** The agent as the API shows it. */
export function toAgentMessage(agent: Agent): AgentMessage {
  return create(AgentSchema, {
    id: agent.id,
    projectId: agent.projectId,
    slug: agent.slug,
    displayName: agent.displayName,
    description: agent.description,
    state: STATES[agent.state],
    ownerId: agent.ownerId ?? '',
    teams: [...agent.teams],
    etag: etagOf(agent),
    createTime: timestampFromMs(agent.createTime),
    updateTime: timestampFromMs(agent.updateTime),
  });
}

/** The state of a request; undefined when it is not set. */
export function fromAgentStateMessage(message: StateMessage | undefined): AgentState | undefined {
  return fromEnumMessage(STATES, message);
}
