import { toJsonString } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProjectService } from '../../gen/portcullis/v1/project_service_pb.ts';
import { SettingType, UpstreamTemplateContentSchema } from '../../gen/portcullis/v1/upstream_template_pb.ts';
import { UpstreamTemplateService } from '../../gen/portcullis/v1/upstream_template_service_pb.ts';
import { readConfigVersion } from '../../src/db/config-changes.ts';
import { openDatabase } from '../../src/db/store.ts';
import type { UpstreamId } from '../../src/domain/ids.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { createTestDatabaseUrl } from '../support/postgres.ts';
import { createInstallation, type Installation, refusalOf, withRights } from './installation.ts';

const SHIPPED = [
  'context7',
  'deepwiki',
  'everything',
  'fetch',
  'filesystem',
  'git',
  'github',
  'memory',
  'sentry',
  'sequential-thinking',
  'time',
];

const DATABASES = [
  ['memory', () => openDatabase({ kind: 'memory' })],
  ['postgres', async () => openDatabase({ kind: 'postgres', url: await createTestDatabaseUrl() })],
] as const;

/** A template of a remote server. */
function remote(slug: string, url = 'https://x.example/mcp') {
  return { slug, content: { transport: { value: { case: 'streamableHttp' as const, value: { url } } } } };
}

describe.each(DATABASES)('a template on %s', (_, open) => {
  let gateway: Installation;
  let operator: Principal;

  beforeEach(async () => {
    gateway = await createInstallation({ store: await open() });
    operator = withRights(gateway.admin, 'gateway:read', 'gateway:write');
  });
  afterEach(() => gateway.close());

  const templates = (caller = operator) => gateway.as(caller, UpstreamTemplateService);

  it('is made, and read as it was made', async () => {
    const { template } = await templates().createUpstreamTemplate({
      slug: 'tickets',
      displayName: 'Tickets',
      description: 'Our tickets.',
      documentationUrl: 'https://x.example/docs',
      content: {
        transport: { value: { case: 'streamableHttp', value: { url: `https://\${host}.x.example/mcp` } } },
        headers: { 'X-Key': `Key \${key}` },
        settings: [
          {
            name: 'host',
            type: SettingType.STRING,
            choices: ['eu', 'us'],
            defaultValue: { kind: { case: 'stringValue', value: 'eu' } },
          },
          { name: 'key', description: 'A key.', required: true, secret: true },
        ],
      },
    });
    expect(template).toMatchObject({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      slug: 'tickets',
      displayName: 'Tickets',
      description: 'Our tickets.',
      documentationUrl: 'https://x.example/docs',
      builtIn: false,
      createTime: expect.anything(),
      content: {
        transport: { value: { case: 'streamableHttp', value: { url: `https://\${host}.x.example/mcp` } } },
        headers: { 'x-key': `Key \${key}` },
        env: {},
        settings: [
          { name: 'host', type: SettingType.STRING, required: false, choices: ['eu', 'us'] },
          { name: 'key', description: 'A key.', type: SettingType.STRING, required: true, secret: true },
        ],
      },
    });
    expect((await templates().getUpstreamTemplate({ slug: 'tickets' })).template).toEqual(template);
  });

  it('keeps the details of a process', async () => {
    const transport = {
      value: {
        case: 'stdio' as const,
        value: { command: 'node', args: ['a.js', `\${file}`], workingDirectory: '/srv', maxProcesses: 3 },
      },
    };
    const settings = [{ name: 'file', type: SettingType.PATH }];
    const { template } = await templates().createUpstreamTemplate({ slug: 'local', content: { transport, settings } });
    expect(template?.content?.transport).toMatchObject(transport);
  });

  it('is made once by repeats with one request id', async () => {
    const request = { requestId: 'x-1', ...remote('x') };
    const first = await templates().createUpstreamTemplate(request);
    expect(await templates().createUpstreamTemplate(request)).toEqual(first);
    const serverJson = { name: 'com.example/y', remotes: [{ type: 'sse', url: 'https://y.example/' }] };
    const imported = await templates().importUpstreamTemplate({ requestId: 'y-1', serverJson });
    expect(await templates().importUpstreamTemplate({ requestId: 'y-1', serverJson })).toEqual(imported);
  });

  it('has a slug of its own in the project, which no shipped one has', async () => {
    await templates().createUpstreamTemplate(remote('x'));
    const serverJson = { name: 'com.example/github', remotes: [{ type: 'sse', url: 'https://y.example/' }] };
    for (const [request, message] of [
      [
        () => templates().createUpstreamTemplate(remote('x')),
        'There is a template with this slug in the project. Choose another slug.',
      ],
      [
        () => templates().createUpstreamTemplate(remote('github')),
        'The server ships with a template of this slug. Choose another slug.',
      ],
      [
        () => templates().importUpstreamTemplate({ serverJson }),
        'The server ships with a template of this slug. Choose another slug.',
      ],
    ] as const) {
      expect(await refusalOf(request())).toMatchObject({ code: 'AlreadyExists', message, metadata: { field: 'slug' } });
    }
    await templates(gateway.otherAdmin).createUpstreamTemplate(remote('x'));
    expect((await templates().importUpstreamTemplate({ serverJson, slug: 'own-github' })).template?.slug).toBe(
      'own-github',
    );
  });

  it('is listed with the shipped ones, by slug', async () => {
    for (const slug of ['zoo', 'get-it', 'a', 'git-2', 'git2']) {
      await templates().createUpstreamTemplate(remote(slug));
    }
    const slugs: string[] = [];
    let pageToken = '';
    do {
      const page = await templates().listUpstreamTemplates({ pageSize: 3, pageToken });
      expect(page.templates.length).toBeLessThanOrEqual(3);
      slugs.push(...page.templates.map(({ slug }) => slug));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(slugs).toEqual([
      'a',
      'context7',
      'deepwiki',
      'everything',
      'fetch',
      'filesystem',
      'get-it',
      'git',
      'git-2',
      'git2',
      'github',
      'memory',
      'sentry',
      'sequential-thinking',
      'time',
      'zoo',
    ]);
    const others = await templates(gateway.otherAdmin).listUpstreamTemplates({});
    expect(others.templates.map(({ slug, builtIn }) => [slug, builtIn])).toEqual(SHIPPED.map((slug) => [slug, true]));
  });

  it("is listed by a token that is good for the caller's own list only", async () => {
    const { nextPageToken: pageToken } = await templates().listUpstreamTemplates({ pageSize: 1 });
    expect(await refusalOf(templates(gateway.otherAdmin).listUpstreamTemplates({ pageToken }))).toMatchObject({
      reason: 'ERROR_REASON_PAGE_TOKEN_INVALID',
    });
  });

  it('hides a shipped one of the same slug that came later', async () => {
    const { template } = await templates().createUpstreamTemplate(remote('older', 'https://own.example/mcp'));
    await gateway.store.db.updateTable('upstream_templates').set({ slug: 'github' }).execute();
    const { templates: all } = await templates().listUpstreamTemplates({});
    expect(all.map(({ slug }) => slug)).toEqual(SHIPPED);
    expect(all.find(({ slug }) => slug === 'github')).toMatchObject({ id: template?.id, builtIn: false });
    expect((await templates().getUpstreamTemplate({ slug: 'github' })).template).toMatchObject({ id: template?.id });
    await templates().deleteUpstreamTemplate({ slug: 'github' });
    expect((await templates().getUpstreamTemplate({ slug: 'github' })).template).toMatchObject({
      id: '',
      builtIn: true,
    });
  });

  it('that the server ships with is shown, and not deleted', async () => {
    const { template } = await templates().getUpstreamTemplate({ slug: 'github' });
    expect(template).toMatchObject({ id: '', slug: 'github', displayName: 'GitHub', builtIn: true });
    expect(template?.createTime).toBeUndefined();
    expect(await refusalOf(templates().deleteUpstreamTemplate({ slug: 'github' }))).toMatchObject({
      code: 'FailedPrecondition',
      message: "The template 'github' ships with the server and cannot be deleted.",
      metadata: { condition: 'built_in' },
    });
  });

  it('is deleted, and is then like one that never was', async () => {
    await templates().createUpstreamTemplate(remote('x'));
    await templates().deleteUpstreamTemplate({ slug: 'x' });
    for (const request of [
      () => templates().getUpstreamTemplate({ slug: 'x' }),
      () => templates().deleteUpstreamTemplate({ slug: 'x' }),
    ]) {
      expect(await refusalOf(request())).toMatchObject({
        code: 'PermissionDenied',
        message: 'The credential has no access to the template "x" (or it might not exist).',
      });
    }
    await templates().createUpstreamTemplate(remote('x'));
  });

  it('belongs to its project', async () => {
    await templates().createUpstreamTemplate(remote('x'));
    expect(await refusalOf(templates(gateway.otherAdmin).getUpstreamTemplate({ slug: 'x' }))).toMatchObject({
      code: 'PermissionDenied',
    });
    const project = { value: { case: 'slug' as const, value: 'default' } };
    expect(await refusalOf(templates(gateway.otherAdmin).listUpstreamTemplates({ project }))).toMatchObject({
      code: 'PermissionDenied',
    });
  });

  it('is deleted with its project', async () => {
    const projects = gateway.as(gateway.admin, ProjectService);
    await projects.createProject({ slug: 'short-lived' });
    const project = { value: { case: 'slug' as const, value: 'short-lived' } };
    await templates(gateway.admin).createUpstreamTemplate({ project, ...remote('x') });
    await projects.deleteProject({ project });
    expect(await gateway.store.db.selectFrom('upstream_templates').selectAll().execute()).toEqual([]);
  });

  it('is written by credentials that reach all upstreams, and read by others', async () => {
    const limited: Principal = { ...operator, grants: new Set(['0199aaaa-0000-7000-8000-000000000000' as UpstreamId]) };
    const serverJson = { name: 'com.example/y', remotes: [] };
    for (const request of [
      () => templates(limited).createUpstreamTemplate(remote('x')),
      () => templates(limited).importUpstreamTemplate({ serverJson }),
      () => templates(limited).deleteUpstreamTemplate({ slug: 'x' }),
    ]) {
      expect(await refusalOf(request())).toMatchObject({
        code: 'PermissionDenied',
        message: expect.stringContaining('cannot manage templates of upstreams.'),
      });
    }
    expect((await templates(limited).getUpstreamTemplate({ slug: 'git' })).template?.slug).toBe('git');
  });

  it('changes nothing that a replica would have to read again', async () => {
    const before = await readConfigVersion(gateway.store.db);
    await templates().createUpstreamTemplate(remote('x'));
    expect(await readConfigVersion(gateway.store.db)).toBe(before);
  });

  it('keeps texts with any characters', async () => {
    const request = { ...remote('x'), displayName: 'a\0b "ü" 🦊' };
    const { template } = await templates().createUpstreamTemplate(request);
    expect((await templates().getUpstreamTemplate({ slug: 'x' })).template).toEqual(template);
    expect(template?.displayName).toBe('a\0b "ü" 🦊');
  });
});

describe('the content of a template', () => {
  let gateway: Installation;

  beforeEach(async () => {
    gateway = await createInstallation();
  });
  afterEach(() => gateway.close());

  type Content = Parameters<typeof toContent>[0];

  function toContent(content: {
    url?: string;
    args?: string[];
    command?: string;
    headers?: Record<string, string>;
    env?: Record<string, string>;
    settings?: Record<string, unknown>[];
  }) {
    const { url, args, command = 'node', headers = {}, env = {}, settings = [] } = content;
    const transport =
      args === undefined
        ? { case: 'streamableHttp' as const, value: { url: url ?? 'https://x.example/mcp' } }
        : { case: 'stdio' as const, value: { command, args } };
    return { transport: { value: transport }, headers, env, settings };
  }

  async function violationsOf(content: Content) {
    const templates = gateway.as(gateway.admin, UpstreamTemplateService);
    const refusal = await refusalOf(templates.createUpstreamTemplate({ slug: 'x', content: toContent(content) }));
    expect(refusal.code).toBe('InvalidArgument');
    return refusal.violations;
  }

  const url = `https://x.example/\${a}`;
  const text = (value: string) => ({ kind: { case: 'stringValue' as const, value } });
  const number = (value: number) => ({ kind: { case: 'numberValue' as const, value } });

  it.each<[string, Content, string, string]>([
    [
      'has a setting for each place',
      { url },
      'content.transport.streamable_http.url',
      'has a place for "a", which is not among the settings',
    ],
    [
      'has a place for each setting',
      { settings: [{ name: 'a' }] },
      'content.settings[0]',
      'is used nowhere: there is no place "${a}"',
    ],
    [
      'names each setting once',
      {
        url,
        settings: [
          { name: 'a', required: true },
          { name: 'a', required: true },
        ],
      },
      'content.settings[1]',
      'has the name "a", which another one has too',
    ],
    [
      'has defaults of the types of settings',
      { url, settings: [{ name: 'a', type: SettingType.INTEGER, defaultValue: number(1.5) }] },
      'content.settings[0]',
      'has a default_value that must be a whole number between -9007199254740991 and 9007199254740991',
    ],
    [
      'has texts as defaults of texts',
      { url, settings: [{ name: 'a', defaultValue: number(1) }] },
      'content.settings[0]',
      'has a default_value that must be a text',
    ],
    [
      'has no lists as defaults',
      { url, settings: [{ name: 'a', defaultValue: { kind: { case: 'listValue', value: { values: [] } } } }] },
      'content.settings[0]',
      'has a default_value that must be a text',
    ],
    [
      'has defaults among the choices',
      { url, settings: [{ name: 'a', choices: ['x'], defaultValue: text('y') }] },
      'content.settings[0]',
      'has a default_value that must be one of: x',
    ],
    [
      'has choices of the types of settings',
      { url, settings: [{ name: 'a', required: true, type: SettingType.NUMBER, choices: ['1', '1.0'] }] },
      'content.settings[0]',
      'has the choice "1.0", which is not a value of its type, written as it is filled in',
    ],
    [
      'has no default of a secret',
      { headers: { 'x-a': `\${a}` }, settings: [{ name: 'a', secret: true, defaultValue: text('x') }] },
      'content.settings[0]',
      'has a default_value, which a secret must not have: everybody could read it',
    ],
    [
      'has no secret in the URL',
      { url, settings: [{ name: 'a', secret: true, required: true }] },
      'content.transport.streamable_http.url',
      'has a place for the secret "a"; secrets stand in headers and variables only',
    ],
    [
      'has no secret in an argument',
      { args: [`--x=\${a}`], settings: [{ name: 'a', secret: true }] },
      'content.transport.stdio.args[0]',
      'has a place for the secret "a"; secrets stand in headers and variables only',
    ],
    [
      'has no part of a URL that may be missing',
      { url, settings: [{ name: 'a' }] },
      'content.transport.streamable_http.url',
      'has a place for "a", which must be required or have a default, because a URL can\'t do without it',
    ],
    [
      'has a URL that begins like one',
      { url: `\${a}/mcp`, settings: [{ name: 'a', required: true }] },
      'content.transport.streamable_http.url',
      'must begin with "http://", with "https://", or with the place of a setting of the type URL',
    ],
    [
      'has a URL whose host is all of a setting or none of it',
      { url: `\${a}.evil.example`, settings: [{ name: 'a', required: true, type: SettingType.URL }] },
      'content.transport.streamable_http.url',
      'must go on with "/" or "?" after the place that it begins with',
    ],
    [
      'has a URL without steps back',
      { url: `https://x.example/\${a}/../mcp`, settings: [{ name: 'a', required: true }] },
      'content.transport.streamable_http.url',
      'must not have segments that lead to another one, such as ".."',
    ],
    [
      'has no credentials in the URL',
      { url: `https://u:p@x.example/\${a}`, settings: [{ name: 'a', required: true }] },
      'transport.streamable_http.url',
      'must not hold credentials; use auth or headers',
    ],
    [
      'has a URL of no other scheme',
      { url: 'ftp://x.example/' },
      'content.transport.streamable_http.url',
      'must begin with "http://", with "https://", or with the place of a setting of the type URL',
    ],
    [
      'has no broken place',
      { args: [`\${a b}`] },
      'content.transport.stdio.args[0]',
      'holds a "${" that begins no place such as "${name}"; write "$${" for the characters themselves',
    ],
    [
      'has no place that is not closed',
      { env: { A: `\${a` }, args: [] },
      'content.env.A',
      'holds a "${" that begins no place such as "${name}"; write "$${" for the characters themselves',
    ],
    [
      'has no places in the command',
      { command: `\${a}`, args: [] },
      'content.transport.stdio.command',
      'has no places; only URL and arguments have',
    ],
    [
      'has no header that belongs to HTTP',
      { headers: { Host: 'x' } },
      'content.headers',
      '"host" belongs to HTTP or MCP and cannot be set',
    ],
    ['has no header twice', { headers: { 'X-A': '1', 'x-a': '2' } }, 'content.headers', '"x-a" is listed twice'],
    [
      'has headers with names that can be sent',
      { headers: { 'x a': '1' } },
      'content.headers',
      '"x a" name: does not match regex pattern `^[!#$%&\'*+.^_`|~0-9A-Za-z-]+$`',
    ],
    [
      'has headers with values that can be sent',
      { headers: { 'x-a': 'ü' } },
      'content.headers',
      '"x-a" value: does not match regex pattern `^[\\x20-\\x7e]*$`',
    ],
    [
      'has no variable that changes the command',
      { args: [], env: { LD_PRELOAD: 'x' } },
      'content.env',
      '"LD_PRELOAD" can change what the command runs and cannot be set',
    ],
    [
      'has variables for processes only',
      { env: { A: '1' } },
      'content.env',
      'is for STDIO upstreams only; use headers',
    ],
    [
      'has headers for HTTP only',
      { args: [], headers: { 'x-a': '1' } },
      'content.headers',
      'are not for STDIO upstreams; use env',
    ],
  ])('%s', async (_, content, field, description) => {
    expect(await violationsOf(content)).toEqual([
      { field: field.replace(/^transport/, 'content.transport'), description },
    ]);
  });

  it('may have a setting as the port', async () => {
    const settings = [{ name: 'port', required: true, type: SettingType.INTEGER }];
    const content = toContent({ url: `http://x.example:\${port}/mcp`, settings });
    const templates = gateway.as(gateway.admin, UpstreamTemplateService);
    const { template } = await templates.createUpstreamTemplate({ slug: 'x', content });
    expect(template?.content && toJsonString(UpstreamTemplateContentSchema, template.content)).toContain(
      `"url":"http://x.example:\${port}/mcp"`,
    );
  });

  it('goes with a page that can be followed', async () => {
    const templates = gateway.as(gateway.admin, UpstreamTemplateService);
    const request = { slug: 'x', documentationUrl: 'javascript:alert(1)', content: toContent({}) };
    expect(await refusalOf(templates.createUpstreamTemplate(request))).toMatchObject({
      violations: [{ field: 'documentation_url', description: 'must be an http or https URL, or empty' }],
    });
  });
});
