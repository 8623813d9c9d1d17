import type { JsonObject } from '../domain/json.ts';
import { addressOf, isGateway, type Target } from '../domain/target.ts';
import type { OfferingMember } from './composition.ts';

/** Room for the instructions of all upstreams of a gateway, in bytes of UTF-8. */
export const MAX_INSTRUCTIONS_BYTES = 16 * 1024;

const SEARCH_HINT =
  'Not all tools are listed: find the ones you need with search_tools, read one with describe_tool, and call it with call_tool.';

/** Whom clients take the endpoint for: the gateway, or the one upstream itself. `version` is that of Portcullis. */
export function serverInfoOf(target: Target, members: readonly OfferingMember[], version: string): JsonObject {
  const own = isGateway(target) ? undefined : members[0]?.offer.serverInfo;
  const title = target.displayName === '' ? {} : { title: target.displayName };
  return own ?? { name: addressOf(target), ...title, version };
}

/** What clients are told to tell their model; undefined when there is nothing to say. */
export function instructionsOf(target: Target, members: readonly OfferingMember[]): string | undefined {
  if (!isGateway(target)) {
    return members[0]?.offer.instructions;
  }
  const hint = target.discoveryMode === 'search' ? [SEARCH_HINT] : [];
  const sections = sectionsOf(members, MAX_INSTRUCTIONS_BYTES - Buffer.byteLength(hint.join('')) - SEPARATOR.length);
  const parts = [...hint, ...sections];
  return parts.length === 0 ? undefined : parts.join(SEPARATOR);
}

const SEPARATOR = '\n\n';

interface Section {
  readonly heading: string;
  readonly text: string;
}

/** A section for each upstream that has something to say; those that say the most are cut where the room is not enough. */
function sectionsOf(members: readonly OfferingMember[], room: number): readonly string[] {
  const sections = members.flatMap(({ upstream, offer }): Section[] => {
    const text = offer.instructions?.trim() ?? '';
    return text === '' ? [] : [{ heading: `# ${addressOf(upstream)}\n`, text }];
  });
  const around = sections.reduce((bytes, { heading }) => bytes + heading.length + SEPARATOR.length, 0);
  const share = fairShare(
    sections.map(({ text }) => Buffer.byteLength(text)),
    Math.max(0, room - around),
  );
  return sections.map(({ heading, text }) => heading + cut(text, share));
}

/** The most that each may have so that all fit into the room. */
function fairShare(sizes: readonly number[], room: number): number {
  let left = room;
  const rising = [...sizes].sort((one, other) => one - other);
  for (const [index, size] of rising.entries()) {
    const share = Math.floor(left / (rising.length - index));
    if (size > share) {
      return share;
    }
    left -= size;
  }
  return room;
}

function cut(text: string, bytes: number): string {
  const encoded = Buffer.from(text);
  // In a stream the decoder keeps the beginning of a character back that the cut went through.
  return encoded.length <= bytes ? text : new TextDecoder().decode(encoded.subarray(0, bytes), { stream: true });
}
