import { expect, test } from 'vitest';
import type { PrincipalId, UpstreamId } from '../../src/domain/ids.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { addressOf } from '../../src/domain/target.ts';
import { findTarget } from '../../src/pipeline/target.ts';
import { PROJECT, upstream } from '../store/samples.ts';

const caller: Principal = {
  kind: 'user',
  id: 'ann' as PrincipalId,
  projectId: PROJECT,
  name: 'ann',
  scopes: new Set(['tools:call']),
  grants: 'all',
  teams: [],
};

function configWith(...versions: readonly string[]) {
  const upstreams = versions.map((version) => upstream({ id: `files-${version}` as UpstreamId, version }));
  return {
    findUpstream: (_: unknown, name: string) => upstreams.find((one) => addressOf(one) === name),
    findGateway: () => undefined,
    upstreams: () => [...upstreams, upstream({ id: 'other' as UpstreamId, slug: 'mail' })],
  };
}

test.each([
  [
    'files@v9',
    ['v2', 'v1'],
    "There is no upstream or gateway 'files@v9' in this project. There is 'files', 'files@v2'.",
  ],
  ['files', ['v2'], "There is no upstream or gateway 'files' in this project. There is 'files@v2'."],
  ['nothing@v1', ['v1'], "There is no upstream or gateway 'nothing@v1' in this project."],
])('%s, where there is files in %j, is refused with the addresses that lead somewhere', (name, versions, message) => {
  expect(findTarget(configWith(...versions), caller, name)).toMatchObject({ errorReason: 'not_found', message });
});

test('a caller who may not see everything is not told which versions there are', () => {
  const limited = { ...caller, grants: new Set<UpstreamId>() };
  expect(findTarget(configWith('v1'), limited, 'files@v9')).toMatchObject({
    errorReason: 'permission_denied',
    message: "The credential has no grant for the upstream or gateway 'files@v9' (or it might not exist).",
  });
});
