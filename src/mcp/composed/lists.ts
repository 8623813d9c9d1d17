import type { Composition } from '../../catalogue/composition.ts';
import { type ListKind, readCursor } from '../../catalogue/cursor.ts';
import { type ListItem, type ListPage, listPage } from '../../catalogue/pages.ts';
import type { McpPost } from '../exchange.ts';
import { InvalidMessageError } from '../json-rpc.ts';
import { FRESHNESS } from './freshness.ts';
import { infoOf, SERVER_INFO_KEY } from './opening.ts';

/** The lists by the methods that ask for them. */
export const LIST_METHODS: ReadonlyMap<string, ListKind> = new Map([
  ['tools/list', 'tools'],
  ['prompts/list', 'prompts'],
  ['resources/list', 'resources'],
  ['resources/templates/list', 'resourceTemplates'],
]);

/** Key of a list result's `_meta` that tells which upstreams' items may be missing. */
const UNAVAILABLE_KEY = 'portcullis/unavailable';

/**
 * Answers with one page of a list.
 *
 * @throws InvalidMessageError for a cursor that was not given for this list
 */
export function answerList(post: McpPost, kind: ListKind, composition: Composition, items: readonly ListItem[]): void {
  const { message, target, answer } = post;
  const scope = { targetId: target.id, kind };
  const { cursor = null } = message.params ?? {};
  const position = typeof cursor === 'string' ? readCursor(scope, cursor) : cursor === null ? 'first' : undefined;
  if (position === undefined) {
    throw new InvalidMessageError(-32602, `'params.cursor' was not given for this list: list from the beginning`);
  }
  const page = listPage(scope, items, position);
  const result = resultText(post, kind, page, composition);
  answer.sendJson(200, `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"result":${result}}`);
}

/** The items' text is long and made already, so the rest is put around it. */
function resultText({ era, target }: McpPost, kind: ListKind, page: ListPage, composition: Composition): string {
  const unavailable = composition.problems.flatMap(({ upstream, name, message }) =>
    name === undefined ? [{ upstream, message }] : [],
  );
  const meta = {
    ...(unavailable.length === 0 ? {} : { [UNAVAILABLE_KEY]: unavailable }),
    ...(era === 'modern' ? { [SERVER_INFO_KEY]: infoOf(target, composition) } : {}),
  };
  const rest = {
    ...(page.nextCursor === undefined ? {} : { nextCursor: page.nextCursor }),
    ...(era === 'modern' ? { resultType: 'complete', ...FRESHNESS } : {}),
    ...(Object.keys(meta).length === 0 ? {} : { _meta: meta }),
  };
  const text = JSON.stringify(rest);
  return `{${JSON.stringify(kind)}:${page.json}${text === '{}' ? '' : `,${text.slice(1, -1)}`}}`;
}
