import { create } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { expect, it } from 'vitest';
import { ApiKeyService } from '../../gen/portcullis/v1/api_key_service_pb.ts';
import { AuthService } from '../../gen/portcullis/v1/auth_service_pb.ts';
import { DecisionService } from '../../gen/portcullis/v1/decision_service_pb.ts';
import { ProjectService } from '../../gen/portcullis/v1/project_service_pb.ts';
import { ToolService } from '../../gen/portcullis/v1/tool_service_pb.ts';
import type { ListUpstreamsRequest } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { ListUpstreamsRequestSchema, UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { createPortcullisClient } from '../src/client.ts';
import { paginate } from '../src/paginate.ts';
import { refusal, startFakeGateway } from './fake-gateway.ts';

const PAGES: Readonly<Record<string, { slugs: string[]; nextPageToken: string }>> = {
  '': { slugs: ['a', 'b'], nextPageToken: 'p2' },
  p2: { slugs: [], nextPageToken: 'p3' },
  p3: { slugs: ['c'], nextPageToken: '' },
};

/** A gateway with three pages of upstreams, the second one empty, that keeps what it was asked. */
async function startPagedGateway() {
  const asked: { enabled: boolean | undefined; pageSize: number; pageToken: string }[] = [];
  const listUpstreams = ({ enabled, pageSize, pageToken }: ListUpstreamsRequest) => {
    asked.push({ enabled, pageSize, pageToken });
    const page = PAGES[pageToken];
    if (page === undefined) throw refusal(Code.InvalidArgument, 'ERROR_REASON_PAGE_TOKEN_INVALID');
    return { upstreams: page.slugs.map((slug) => ({ slug })), nextPageToken: page.nextPageToken };
  };
  const { baseUrl } = await startFakeGateway({ upstreams: { listUpstreams } });
  return { asked, client: createPortcullisClient({ baseUrl, apiKey: 'pc_1' }) };
}

it('goes through all pages, past an empty one, until there is no next page', async () => {
  const { asked, client } = await startPagedGateway();

  const slugs: string[] = [];
  for await (const upstream of paginate(client.upstreams.listUpstreams, { enabled: false, pageSize: 2 })) {
    slugs.push(upstream.slug);
  }

  expect(slugs).toEqual(['a', 'b', 'c']);
  expect(asked).toEqual([
    { enabled: false, pageSize: 2, pageToken: '' },
    { enabled: false, pageSize: 2, pageToken: 'p2' },
    { enabled: false, pageSize: 2, pageToken: 'p3' },
  ]);
});

it('takes a whole message as the request, and begins at its page token', async () => {
  const { asked, client } = await startPagedGateway();
  const request = create(ListUpstreamsRequestSchema, { enabled: true, pageToken: 'p2' });

  const slugs: string[] = [];
  for await (const upstream of paginate(client.upstreams.listUpstreams, request)) {
    slugs.push(upstream.slug);
  }

  expect(slugs).toEqual(['c']);
  expect(asked).toEqual([
    { enabled: true, pageSize: 0, pageToken: 'p2' },
    { enabled: true, pageSize: 0, pageToken: 'p3' },
  ]);
  expect(request.pageToken).toBe('p2');
});

it('asks for a page only when the one before has been used up', async () => {
  const { asked, client } = await startPagedGateway();

  for await (const upstream of paginate(client.upstreams.listUpstreams, {})) {
    if (upstream.slug === 'b') break;
  }

  expect(asked).toHaveLength(1);
});

it('throws the error of a page where it occurs', async () => {
  const { client } = await startPagedGateway();

  const all = paginate(client.upstreams.listUpstreams, { pageToken: 'nonsense' });

  await expect(all.next()).rejects.toMatchObject({ reason: 'page_token_invalid' });
});

it('passes the call options to every page', async () => {
  const { asked, client } = await startPagedGateway();
  const aborter = new AbortController();

  const all = paginate(client.upstreams.listUpstreams, {}, { signal: aborter.signal });
  await all.next();
  await all.next();
  aborter.abort();

  await expect(all.next()).rejects.toMatchObject({ reason: 'canceled' });
  expect(asked).toHaveLength(1);
});

it('finds the items although the page holds fields that this SDK does not know', async () => {
  const unknown = { no: 99, wireType: 2, data: new Uint8Array([1, 120]) };
  const list = async () => ({ $unknown: [unknown], nextPageToken: '', things: ['x'] });

  const things: string[] = [];
  for await (const thing of paginate(list, {})) {
    things.push(thing);
  }

  expect(things).toEqual(['x']);
});

it('every list method of the contract has a page token and one repeated field, which are its items', () => {
  const services = [ApiKeyService, AuthService, DecisionService, ProjectService, ToolService, UpstreamService];
  const lists = services.flatMap(({ methods }) => methods.filter(({ name }) => name.startsWith('List')));

  const shapes = lists.map(({ name, input, output }) => {
    const items = output.fields.filter(({ fieldKind }) => fieldKind === 'list').map(({ localName }) => localName);
    const isPaged = input.field['pageToken'] !== undefined && output.field['nextPageToken'] !== undefined;
    return `${name}: ${items.join()}${isPaged ? '' : ' not paged'}`;
  });

  expect(shapes).toEqual([
    'ListApiKeys: apiKeys',
    'ListUsers: users',
    'ListDecisions: decisions',
    'ListProjects: projects',
    'ListTools: tools',
    'ListUpstreams: upstreams',
    'ListUpstreamTools: tools',
  ]);
});
