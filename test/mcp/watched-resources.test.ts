import { expect, test } from 'vitest';
import type { Member } from '../../src/catalogue/composition.ts';
import { findUpdated } from '../../src/mcp/composed/watched-resources.ts';

const member = {} as Member;
const WATCHED = [
  { uri: 's1+file:///a', upstreamUri: 'file:///a', member },
  { uri: 'file:///docs/', upstreamUri: 'file:///docs/', member },
];

test.each([
  ['what is watched, in the client’s words', 'file:///a', 's1+file:///a'],
  ['a part of what is watched', 'file:///docs/one.md', 'file:///docs/one.md'],
  ['a part behind a slug', 'file:///a#top', 's1+file:///a#top'],
  ['another resource whose URI begins the same', 'file:///ab', undefined],
  ['what somebody else watches', 'file:///b', undefined],
  ['nothing', '', undefined],
])('an update of %s', (_what, updated, uri) => {
  expect(findUpdated(WATCHED, updated)).toBe(uri);
});
