import type { JsonObject } from '../domain/json.ts';
import { isObject } from '../upstream/message.ts';
import type { Offer } from './offer.ts';

/** The lists that an upstream can say were changed (`notifications/<name>/list_changed`); templates change with the resources. */
export type ListName = 'tools' | 'prompts' | 'resources';

export const LIST_NAMES: readonly ListName[] = ['tools', 'prompts', 'resources'];

/** The field of an Offer that holds a list. */
export type OfferList = keyof Pick<Offer, 'tools' | 'prompts' | 'resources' | 'resourceTemplates'>;

/** How one of the lists is asked for. */
export interface ListKind {
  /** In the result, as in the Offer. */
  readonly field: OfferList;
  readonly name: ListName;
  readonly method: string;
  /** What an item must have to be of use. */
  readonly id: 'name' | 'uri' | 'uriTemplate';
}

export const LIST_KINDS: readonly ListKind[] = [
  { field: 'tools', name: 'tools', method: 'tools/list', id: 'name' },
  { field: 'prompts', name: 'prompts', method: 'prompts/list', id: 'name' },
  { field: 'resources', name: 'resources', method: 'resources/list', id: 'uri' },
  { field: 'resourceTemplates', name: 'resources', method: 'resources/templates/list', id: 'uriTemplate' },
];

/** The lists that an upstream with these capabilities has. */
export function declaredLists(capabilities: JsonObject): readonly ListName[] {
  return LIST_NAMES.filter((name) => isObject(capabilities[name]));
}

/** The lists of which it tells when they change. */
export function announcedLists(capabilities: JsonObject): readonly ListName[] {
  return LIST_NAMES.filter((name) => {
    const capability = capabilities[name];
    return isObject(capability) && capability['listChanged'] === true;
  });
}

/** The list that a notification says was changed; undefined for any other message. */
export function changedList(message: JsonObject): ListName | undefined {
  return LIST_NAMES.find((name) => message['method'] === `notifications/${name}/list_changed`);
}
