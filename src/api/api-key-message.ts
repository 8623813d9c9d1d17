import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  type ApiKey,
  ApiKeySchema,
  type ApiKeySecret,
  ApiKeySecretSchema,
} from '../../gen/portcullis/v1/api_key_pb.ts';
import type { ApiKeyRecord } from '../db/api-keys.ts';
import { toPrincipalKindMessage } from './caller-message.ts';
import { etagOf } from './etag.ts';
import { toGrantsMessage } from './grants-message.ts';
import { present } from './present.ts';
import { toScopeMessages } from './scope-message.ts';

/** The key as the API shows it, without its secrets' hashes. */
export function toApiKeyMessage(key: ApiKeyRecord): ApiKey {
  return create(ApiKeySchema, {
    id: key.id,
    projectId: key.projectId,
    ownerKind: toPrincipalKindMessage(key.ownerKind),
    ownerId: key.ownerId,
    displayName: key.displayName,
    scopes: toScopeMessages(key.scopes),
    grants: toGrantsMessage(key),
    keyPrefix: key.secrets[0]?.keyPrefix ?? '',
    secrets: key.secrets.map(toSecretMessage),
    ...present({
      expireTime: toTimestamp(key.expireTime),
      revokeTime: toTimestamp(key.revokeTime),
      lastUseTime: toTimestamp(key.lastUseTime),
    }),
    etag: etagOf(key),
    createTime: timestampFromMs(key.createTime),
    updateTime: timestampFromMs(key.updateTime),
  });
}

function toSecretMessage(secret: ApiKeyRecord['secrets'][number]): ApiKeySecret {
  return create(ApiKeySecretSchema, {
    keyPrefix: secret.keyPrefix,
    createTime: timestampFromMs(secret.createTime),
    ...present({ expireTime: toTimestamp(secret.expireTime) }),
  });
}

function toTimestamp(ms: number | undefined) {
  return ms === undefined ? undefined : timestampFromMs(ms);
}
