import { type ImportedContent, readKeyValues } from './content.ts';
import { child, DocumentError, type DocumentNode, requireText } from './document.ts';
import {
  createSettingList,
  type Input,
  isVariableName,
  readInput,
  readVariables,
  replaceVariables,
  type SettingList,
} from './inputs.ts';

const KINDS: Readonly<Record<string, 'streamable_http' | 'sse'>> = {
  'streamable-http': 'streamable_http',
  // The name until July 2025.
  streamable: 'streamable_http',
  sse: 'sse',
};

/** Reads a remote. Throws a DocumentError for what can't be used. */
export function readRemote(node: DocumentNode): ImportedContent {
  const type = child(node, 'type', 'transport_type');
  const name = requireText(type);
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (kind === undefined) throw new DocumentError(type, 'is not a transport of remotes: streamable-http or sse');
  const list = createSettingList(node);
  const url = readUrl(node, list);
  const headers = Object.fromEntries(readKeyValues(child(node, 'headers'), list));
  return { transport: { kind, url }, headers, env: {}, settings: list.settings };
}

function readUrl(node: DocumentNode, list: SettingList): string {
  const url = child(node, 'url');
  const text = requireText(url);
  const variables = readVariables(child(node, 'variables'));
  const [, base] = /^\{([^{}]+)\}/.exec(text) ?? [];
  const find = (name: string): Input | undefined => {
    const input = variables.get(name) ?? (isVariableName(name) ? readInput({ path: url.path, value: {} }) : undefined);
    if (input?.secret) throw new DocumentError(input.node, 'is a secret in a URL, where logs would show it');
    // A URL can't do without a part of it.
    return input && { ...input, required: true, ...(name === base && { type: 'url' }) };
  };
  return replaceVariables(text, find, list).text;
}
