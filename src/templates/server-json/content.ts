import type { TemplateSetting } from '../../domain/upstream-template.ts';
import { child, DocumentError, type DocumentNode, items, requireText } from './document.ts';
import { readInput, type SettingList, toText } from './inputs.ts';

/** What a template gets from one package or remote of a document; what it says nothing of is left to the defaults. */
export interface ImportedContent {
  readonly transport:
    | { readonly kind: 'streamable_http' | 'sse'; readonly url: string }
    | { readonly kind: 'stdio'; readonly command: string; readonly args: readonly string[] };
  /** Values with places, by name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  readonly settings: readonly TemplateSetting[];
}

/** Reads headers or variables (`KeyValueInput`) to values with places, by name. */
export function readKeyValues(node: DocumentNode, list: SettingList): Map<string, string> {
  const values = new Map<string, string>();
  for (const item of items(node)) {
    const name = requireText(child(item, 'name'));
    if (values.has(name)) throw new DocumentError(item, 'has the name of another one');
    values.set(name, toText(readInput(item), name, list).text);
  }
  return values;
}
