import type { Logger } from 'pino';
import type { SecretBox } from '../config/secret-box.ts';
import type { Store } from '../db/store.ts';
import type { IsOperator } from './access.ts';
import type { Paging } from './paging.ts';

/** What the services share. */
export interface ApiDeps {
  readonly log: Logger;
  readonly store: Store;
  readonly box: SecretBox;
  readonly paging: Paging;
  readonly isOperator: IsOperator;
}
