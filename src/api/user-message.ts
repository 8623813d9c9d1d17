import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type User, UserSchema } from '../../gen/portcullis/v1/user_pb.ts';
import type { UserRecord } from '../db/users.ts';
import { etagOf } from './etag.ts';
import { toScopeMessages } from './scope-message.ts';

/** The user as the API shows it, without the password hash. */
export function toUserMessage(user: UserRecord): User {
  return create(UserSchema, {
    id: user.id,
    projectId: user.projectId,
    username: user.username,
    email: user.email,
    scopes: toScopeMessages(user.scopes),
    teams: [...user.teams],
    disabled: user.disabled,
    etag: etagOf(user),
    createTime: timestampFromMs(user.createTime),
    updateTime: timestampFromMs(user.updateTime),
  });
}
