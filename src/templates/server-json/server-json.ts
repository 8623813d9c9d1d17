import type { ImportedContent } from './content.ts';
import { child, type DocumentNode, items, readText, requireText } from './document.ts';
import { readPackage } from './packages.ts';
import { readRemote } from './remotes.ts';

/** An MCP server as the registry describes it. */
export interface DescribedServer {
  readonly name: string;
  readonly displayName: string;
  readonly description: string;
  /** Empty = none. */
  readonly documentationUrl: string;
  /** Remotes first, then packages, each in the document's order. */
  readonly sources: readonly ServerSource[];
}

/** A package or remote of a document. */
export interface ServerSource {
  /** Such as `remotes[0]`. */
  readonly name: string;
  readonly path: string;
  /** Throws a DocumentError for what can't be used. */
  readonly read: () => ImportedContent;
}

const DISPLAY_NAME_LENGTH = 128;
const DESCRIPTION_LENGTH = 2_000;
const URL_LENGTH = 2_048;

/**
 * Reads a `server.json` of the MCP registry, in any version of its schema from July 2025 on, or an answer of the registry's API, which holds
 * it under `server`. Throws a DocumentError for what is no such document.
 */
export function readServerJson(value: unknown): DescribedServer {
  const outer: DocumentNode = { path: '', value };
  const wrapped = child(outer, 'server');
  const node = wrapped.value === undefined || child(outer, 'name').value !== undefined ? outer : wrapped;
  const name = requireText(child(node, 'name'));
  return {
    name,
    displayName: (readText(child(node, 'title')) || baseOf(name)).slice(0, DISPLAY_NAME_LENGTH),
    description: (readText(child(node, 'description')) ?? '').slice(0, DESCRIPTION_LENGTH),
    documentationUrl: readDocumentationUrl(node),
    sources: [
      ...listSources(child(node, 'remotes'), 'remotes', readRemote),
      ...listSources(child(node, 'packages'), 'packages', readPackage),
    ],
  };
}

/** A slug made from the name of a server, such as `context7` from `io.github.upstash/context7`; empty when there is nothing to make it of. */
export function slugOf(name: string): string {
  const words = baseOf(name)
    .toLowerCase()
    .split(/[^a-z0-9]+/);
  return words.filter(Boolean).join('-').slice(0, 64).replace(/-$/, '');
}

function listSources(list: DocumentNode, kind: string, read: (node: DocumentNode) => ImportedContent): ServerSource[] {
  return items(list).map((node, index) => ({
    name: `${kind}[${index}]`,
    path: node.path,
    read: () => read(node),
  }));
}

/** The part after the namespace. */
function baseOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}

function readDocumentationUrl(node: DocumentNode): string {
  const website = readText(child(node, 'websiteUrl', 'website_url'));
  const repository = child(node, 'repository');
  const source = repository.value === undefined ? undefined : readText(child(repository, 'url'));
  const isPage = (url: string | undefined) =>
    url !== undefined && /^https?:\/\//i.test(url) && URL.canParse(url) && url.length <= URL_LENGTH;
  return [website, source].find(isPage) ?? '';
}
