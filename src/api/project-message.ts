import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  type Project as ProjectMessage,
  ProjectSchema,
  RecordedArguments as RecordedArgumentsMessage,
} from '../../gen/portcullis/v1/project_pb.ts';
import type { Project, RecordedArguments } from '../domain/project.ts';
import { toEffectMessage } from './effect-message.ts';
import { fromEnumMessage } from './enum-message.ts';
import { etagOf } from './etag.ts';
import { present } from './present.ts';

const RECORDED_ARGUMENTS: Readonly<Record<RecordedArguments, RecordedArgumentsMessage>> = {
  none: RecordedArgumentsMessage.NONE,
  redacted: RecordedArgumentsMessage.REDACTED,
  full: RecordedArgumentsMessage.FULL,
};

/** The project as the API shows it. */
export function toProjectMessage(project: Project): ProjectMessage {
  return create(ProjectSchema, {
    id: project.id,
    slug: project.slug,
    displayName: project.displayName,
    recordedArguments: RECORDED_ARGUMENTS[project.recordedArguments],
    defaultEffect: toEffectMessage(project.defaultEffect),
    etag: etagOf(project),
    createTime: timestampFromMs(project.createTime),
    updateTime: timestampFromMs(project.updateTime),
    redactedKeys: [...project.redactedKeys],
    ...present({ approvalWebhook: project.approvalWebhook && { url: project.approvalWebhook.url } }),
  });
}

/** The recording mode of a request; undefined when it is not set. */
export function fromRecordedArgumentsMessage(
  message: RecordedArgumentsMessage | undefined,
): RecordedArguments | undefined {
  return fromEnumMessage(RECORDED_ARGUMENTS, message);
}
