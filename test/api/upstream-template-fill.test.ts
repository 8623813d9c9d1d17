import { fromJson, type JsonValue, type MessageInitShape, toJsonString } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UpstreamSchema } from '../../gen/portcullis/v1/upstream_pb.ts';
import { type CreateUpstreamRequestSchema, UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { SettingType } from '../../gen/portcullis/v1/upstream_template_pb.ts';
import { UpstreamTemplateService } from '../../gen/portcullis/v1/upstream_template_service_pb.ts';
import { findUpstreamBySlug } from '../../src/db/upstreams.ts';
import type { TemplateContent, TemplateSetting } from '../../src/domain/upstream-template.ts';
import { fillTemplate } from '../../src/templates/fill-template.ts';
import { createInstallation, type Installation, refusalOf } from './installation.ts';

function setting(name: string, changes: Partial<TemplateSetting> = {}): TemplateSetting {
  return { name, description: '', type: 'string', required: true, secret: false, choices: [], ...changes };
}

const NOTHING = { headers: {}, env: {} };

/** What a URL becomes; the settings are required texts unless others are given. */
function fillUrl(
  url: string,
  given: Record<string, unknown>,
  settings = Object.keys(given).map((name) => setting(name)),
) {
  const content: TemplateContent = { ...NOTHING, transport: { kind: 'streamable_http', url }, settings };
  const { filled, violations } = fillTemplate(content, given);
  return filled?.transport.kind === 'streamable_http' ? filled.transport.url : violations;
}

/** What arguments become. */
function fillArgs(args: string[], given: Record<string, unknown>, settings: TemplateSetting[]) {
  const transport = {
    kind: 'stdio' as const,
    command: 'node',
    args,
    sharing: 'per_principal' as const,
    maxProcesses: 1,
    idleTimeoutMs: 1000,
  };
  const { filled, violations } = fillTemplate({ ...NOTHING, transport, settings }, given);
  return filled?.transport.kind === 'stdio' ? filled.transport.args : violations;
}

describe('the type of a setting', () => {
  const text = 'must be a text';
  const number = 'must be a number';
  const integer = 'must be a whole number between -9007199254740991 and 9007199254740991';
  const boolean = 'must be true or false';
  const url = 'must be an absolute http or https URL, as a text';
  const path = 'must be an absolute path of the machine that the gateway runs on, as a text';

  it.each<[TemplateSetting['type'], unknown, string]>([
    ['string', 'a b', 'a b'],
    ['string', '5', '5'],
    ['number', 5, '5'],
    ['number', -0.25, '-0.25'],
    ['integer', 9007199254740991, '9007199254740991'],
    ['boolean', true, 'true'],
    ['boolean', false, 'false'],
    ['url', 'https://x.example:8443/a?b=c', 'https://x.example:8443/a?b=c'],
    ['path', '/srv/data dir', '/srv/data dir'],
  ])('%s takes %j', (type, value, filled) => {
    expect(fillArgs([`--x=\${x}`], { x: value }, [setting('x', { type })])).toEqual([`--x=${filled}`]);
  });

  it.each<[TemplateSetting['type'], unknown, string]>([
    ['string', 5, text],
    ['string', true, text],
    ['string', null, text],
    ['string', ['a'], text],
    ['string', { a: 1 }, text],
    ['string', '', 'must not be empty'],
    ['string', 'a\0b', 'must not hold NUL characters'],
    ['string', '\ud800', 'must be well-formed Unicode'],
    ['number', '5', number],
    ['number', Number.NaN, number],
    ['number', Number.POSITIVE_INFINITY, number],
    ['number', null, number],
    ['number', false, number],
    ['integer', 1.5, integer],
    ['integer', 9007199254740992, integer],
    ['integer', '1', integer],
    ['integer', null, integer],
    ['boolean', 'true', boolean],
    ['boolean', 1, boolean],
    ['boolean', null, boolean],
    ['url', 'x.example', url],
    ['url', '//x.example', url],
    ['url', 'ftp://x.example', url],
    ['url', 'javascript:alert(1)', url],
    ['url', 'https://', url],
    ['url', 'https:///x', url],
    ['url', 'https://x.example/a\nb', url],
    ['url', ' https://x.example', url],
    ['url', 'https:\\\\x.example', url],
    ['url', 5, url],
    ['url', null, url],
    ['path', 'data', path],
    ['path', './data', path],
    ['path', '', path],
    ['path', '~/data', path],
    ['path', 5, path],
    ['path', null, path],
  ])('%s does not take %j', (type, value, description) => {
    expect(fillArgs([`--x=\${x}`], { x: value }, [setting('x', { type })])).toEqual([
      { field: 'template.settings.x', description },
    ]);
  });
});

describe('settings', () => {
  it('must be given where they are required and have no default', () => {
    const settings = [
      setting('a', { type: 'path', description: 'Where files are.' }),
      setting('b', { defaultValue: 'B' }),
      setting('c', { required: false }),
    ];
    expect(fillArgs([`\${a}`, `\${b}`, `\${c}`], {}, settings)).toEqual([
      {
        field: 'template.settings.a',
        description: 'must be given: the template requires it, as PATH (Where files are.)',
      },
    ]);
    expect(fillArgs([`\${a}`, `\${b}`, `\${c}`], { a: '/a' }, settings)).toEqual(['/a', 'B']);
  });

  it('must be those of the template', () => {
    const settings = [setting('a'), setting('b', { required: false })];
    expect(fillArgs([`\${a}\${b}`], { a: 'A', c: 'C', toString: 1 }, settings)).toEqual([
      { field: 'template.settings.c', description: 'is not a setting of the template, which has: a, b' },
      { field: 'template.settings.toString', description: 'is not a setting of the template, which has: a, b' },
    ]);
    expect(fillArgs([], { c: 'C' }, [])).toEqual([
      { field: 'template.settings.c', description: 'is not a setting of the template, which has none' },
    ]);
  });

  it('must be among the choices, as text', () => {
    const settings = [setting('a', { type: 'integer', choices: ['1', '2'] })];
    expect(fillArgs([`\${a}`], { a: 2 }, settings)).toEqual(['2']);
    expect(fillArgs([`\${a}`], { a: 3 }, settings)).toEqual([
      { field: 'template.settings.a', description: 'must be one of: 1, 2' },
    ]);
  });
});

describe('an argument', () => {
  it('stays one argument, whatever its value', () => {
    const settings = [setting('a')];
    for (const a of ['x y', `x' "y`, '; rm -rf /', '$(id)', '`id`', '*', 'x\ny', '| cat', '&&']) {
      expect(fillArgs(['first', `--a=\${a}`, 'last'], { a }, settings)).toEqual(['first', `--a=${a}`, 'last']);
    }
  });

  it('is left out as a whole when a setting in it is not given', () => {
    const settings = [setting('a', { required: false }), setting('b', { required: false })];
    const args = ['x', `\${a}`, `--b=\${b}`, `\${a}:\${b}`, 'y'];
    expect(fillArgs(args, {}, settings)).toEqual(['x', 'y']);
    expect(fillArgs(args, { b: 'B' }, settings)).toEqual(['x', '--b=B', 'y']);
    expect(fillArgs(args, { a: '', b: 'B' }, settings)).toEqual(['x', '', '--b=B', ':B', 'y']);
  });

  it('does not become an option', () => {
    const settings = [setting('a', { required: false }), setting('b')];
    const description = 'must not begin with a hyphen, because an argument begins with it';
    expect(fillArgs([`\${a}\${b}`], { a: '', b: '--eval=1' }, settings)).toEqual([
      { field: 'template.settings.b', description },
    ]);
    expect(fillArgs([`\${b}`], { b: '-e' }, settings)).toEqual([{ field: 'template.settings.b', description }]);
    expect(fillArgs([`\${b}`], { b: '-0x=1' }, settings)).toEqual([{ field: 'template.settings.b', description }]);
    expect(fillArgs([`\${b}`], { b: -5 }, [setting('b', { type: 'number' })])).toEqual(['-5']);
    expect(fillArgs([`--b=\${b}`], { b: '-e' }, settings)).toEqual(['--b=-e']);
  });

  it('is not filled a second time by what looks like a place in a value', () => {
    const settings = [setting('a'), setting('b')];
    const given = { a: `\${b}`, b: `$\${a}` };
    expect(fillArgs([`\${a} \${b} $\${a} $1 $&`], given, settings)).toEqual([`\${b} $\${a} \${a} $1 $&`]);
  });
});

describe('a place in a URL', () => {
  it.each([
    ['a b', 'https://x.example/a%20b/mcp'],
    ['../../admin', 'https://x.example/..%2F..%2Fadmin/mcp'],
    ['@evil.example', 'https://x.example/%40evil.example/mcp'],
    ['//evil.example', 'https://x.example/%2F%2Fevil.example/mcp'],
    ['\\\\evil.example', 'https://x.example/%5C%5Cevil.example/mcp'],
    ['?a=b&c=d', 'https://x.example/%3Fa%3Db%26c%3Dd/mcp'],
    ['#a', 'https://x.example/%23a/mcp'],
    ['a\r\nHost: evil.example', 'https://x.example/a%0D%0AHost%3A%20evil.example/mcp'],
    ['%2e%2e', 'https://x.example/%252e%252e/mcp'],
    [`\${b}`, 'https://x.example/%24%7Bb%7D/mcp'],
    ['ü', 'https://x.example/%C3%BC/mcp'],
    ['...', 'https://x.example/.../mcp'],
  ])('of the path holds %j without changing anything else', (a, url) => {
    expect(fillUrl(`https://x.example/\${a}/mcp`, { a })).toBe(url);
  });

  it.each(['.', '..'])('of the path does not hold %j', (a) => {
    expect(fillUrl(`https://x.example/v1/\${a}/mcp`, { a })).toEqual([
      {
        field: 'template.settings.a',
        description: 'must not make a segment of the path that leads to another one, such as ".."',
      },
    ]);
  });

  it('of the path is not completed to a step back', () => {
    const field = 'template.settings.a';
    expect(fillUrl(`https://x.example/.\${a}`, { a: '.' })).toMatchObject([{ field }]);
    expect(fillUrl(`https://x.example/%2e\${a}`, { a: '.' })).toMatchObject([{ field }]);
    expect(fillUrl(`https://x.example/\${a}\${b}`, { a: '.', b: '.' })).toMatchObject([{ field }, {}]);
  });

  it('of the query holds one value', () => {
    expect(fillUrl(`https://x.example/mcp?a=\${a}&z=1`, { a: 'x&z=2#y ../' })).toBe(
      'https://x.example/mcp?a=x%26z%3D2%23y%20..%2F&z=1',
    );
  });

  it.each(['evil.example/', 'a@evil.example', 'a:8080', 'a?', 'a#', 'a\\', 'a b', '', 'a\nb', '%2f', '[::1]', `\${b}`])(
    'of the host does not hold %j',
    (a) => {
      const settings = [setting('a', { required: false, defaultValue: 'x' })];
      expect(fillUrl(`https://\${a}.x.example/mcp`, { a }, settings)).toEqual([
        {
          field: 'template.settings.a',
          description:
            'must be made of letters, digits, hyphens, underscores and dots, because it is part of a host name',
        },
      ]);
    },
  );

  it('of the host and the port hold names and numbers', () => {
    const settings = [setting('a'), setting('port', { type: 'integer' })];
    expect(fillUrl(`https://\${a}.x.example:\${port}/mcp`, { a: 'eu-1.b', port: 8443 }, settings)).toBe(
      'https://eu-1.b.x.example:8443/mcp',
    );
  });

  it('at the beginning holds a whole URL', () => {
    const settings = [setting('base', { type: 'url' })];
    expect(fillUrl(`\${base}/mcp`, { base: 'https://x.example:8443/a' }, settings)).toBe(
      'https://x.example:8443/a/mcp',
    );
    expect(fillUrl(`\${base}/mcp`, { base: 'https://x.example/' }, settings)).toBe('https://x.example/mcp');
    expect(fillUrl(`\${base}`, { base: 'https://x.example/?a=b' }, settings)).toBe('https://x.example/?a=b');
    for (const base of ['https://x.example/?a=b', 'https://x.example/#a']) {
      expect(fillUrl(`\${base}/mcp`, { base }, settings)).toEqual([
        {
          field: 'template.settings.base',
          description: 'must have neither a query nor a fragment, because more follows it',
        },
      ]);
    }
  });

  it('holds a URL as one value elsewhere', () => {
    const settings = [setting('a', { type: 'url' })];
    expect(fillUrl(`https://x.example/?to=\${a}`, { a: 'https://y.example/z' }, settings)).toBe(
      'https://x.example/?to=https%3A%2F%2Fy.example%2Fz',
    );
  });

  it('never changes the host, the number of segments or the other parameters, whatever it holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.string({ unit: 'binary', minLength: 1 }), (a, b) => {
        const filled = fillUrl(`https://x.example:8443/v1/\${a}/mcp?b=\${b}&c=d`, { a, b });
        if (typeof filled !== 'string') return;
        const url = new URL(filled);
        expect(url.origin).toBe('https://x.example:8443');
        expect(url.pathname.split('/')).toHaveLength(4);
        expect(decodeURIComponent(url.pathname.split('/')[2] ?? '')).toBe(a);
        expect([...url.searchParams]).toEqual([
          ['b', b],
          ['c', 'd'],
        ]);
        expect([url.username, url.hash]).toEqual(['', '']);
      }),
    );
  });
});

describe('a header or variable', () => {
  const content: TemplateContent = {
    transport: { kind: 'sse', url: 'https://x.example', sharing: 'per_principal' },
    headers: { authorization: `Bearer \${token}`, 'x-region': `\${region}`, 'x-fixed': `$\${x}` },
    env: {},
    settings: [setting('token', { secret: true, required: false }), setting('region', { required: false })],
  };

  it('is left out when a setting in it is not given', () => {
    expect(fillTemplate(content, {}).filled?.headers).toEqual({ 'x-fixed': `\${x}` });
    expect(fillTemplate(content, { token: 'T' }).filled?.headers).toEqual({
      authorization: 'Bearer T',
      'x-fixed': `\${x}`,
    });
  });

  it('holds only what can be sent, and never shows it', () => {
    const { violations } = fillTemplate(content, { token: 'hunter2\r\nx: y', region: 'ü' });
    const description = 'must be of printable ASCII characters, because it stands in a header';
    expect(violations).toEqual([
      { field: 'template.settings.token', description },
      { field: 'template.settings.region', description },
    ]);
  });
});

describe('an upstream made from a template', () => {
  let gateway: Installation;

  beforeEach(async () => {
    gateway = await createInstallation({ stdioCommands: ['npx'] });
  });
  afterEach(() => gateway.close());

  const upstreams = () => gateway.as(gateway.admin, UpstreamService);
  const templates = () => gateway.as(gateway.admin, UpstreamTemplateService);

  function use(slug: string, settings: Record<string, JsonValue> = {}) {
    const values = Object.entries(settings).map(([name, value]) => [name, fromJson(ValueSchema, value)] as const);
    return { slug, settings: Object.fromEntries(values) };
  }

  /** The secrets that are sent to the upstream. */
  async function secretsOf(slug: string) {
    const upstream = await findUpstreamBySlug(gateway.store.db, gateway.admin.projectId, slug, 'v1');
    return upstream?.sealedSecrets ? JSON.parse(await gateway.box.open('upstream', upstream.sealedSecrets)) : undefined;
  }

  it('that ships with the server gets its transport and secrets, which are never shown', async () => {
    const { upstream } = await upstreams().createUpstream({
      slug: 'gh',
      template: use('github', { token: 'ghp_hunter2', read_only: true }),
    });
    expect(upstream).toMatchObject({
      templateSlug: 'github',
      transport: { value: { case: 'streamableHttp', value: { url: 'https://api.githubcopilot.com/mcp/' } } },
      headers: [{ name: 'authorization' }, { name: 'x-mcp-readonly' }],
    });
    expect(await secretsOf('gh')).toMatchObject({
      headers: { authorization: 'Bearer ghp_hunter2', 'x-mcp-readonly': 'true' },
    });
    const read = await upstreams().getUpstream({ upstream: { value: { case: 'slug', value: 'gh' } } });
    const listed = await upstreams().listUpstreams({});
    for (const shown of [upstream, read.upstream, listed.upstreams[0]]) {
      expect(shown && toJsonString(UpstreamSchema, shown)).not.toContain('hunter2');
      expect(shown?.templateSlug).toBe('github');
    }
    expect(JSON.stringify(await gateway.store.db.selectFrom('upstreams').selectAll().execute())).not.toContain(
      'hunter2',
    );
    expect(gateway.logLines.join('')).not.toContain('hunter2');
  });

  it('runs a command only when the operator allows it', async () => {
    const template = use('filesystem', { directory: '/srv/data dir' });
    const { upstream } = await upstreams().createUpstream({ slug: 'fs', template });
    expect(upstream?.transport?.value.value).toMatchObject({
      command: 'npx',
      args: ['-y', '@modelcontextprotocol/server-filesystem', '/srv/data dir'],
    });
    const git = use('git', { repository: '/srv/git' });
    expect(await refusalOf(upstreams().createUpstream({ slug: 'git', template: git }))).toMatchObject({
      code: 'InvalidArgument',
      violations: [
        {
          field: 'transport.stdio.command',
          description: expect.stringContaining('is not a command that the operator allows'),
        },
      ],
    });
  });

  it('keeps what it got when the template is deleted', async () => {
    await templates().createUpstreamTemplate({
      slug: 'own',
      content: {
        transport: { value: { case: 'sse', value: { url: `https://\${host}.example/sse` } } },
        settings: [{ name: 'host', required: true, type: SettingType.STRING }],
      },
    });
    const request = { requestId: 'r1', slug: 'x', template: use('own', { host: 'a' }) };
    const { upstream } = await upstreams().createUpstream(request);
    expect(upstream?.transport?.value.value).toMatchObject({ url: 'https://a.example/sse' });
    await templates().deleteUpstreamTemplate({ slug: 'own' });
    expect((await upstreams().createUpstream(request)).upstream).toEqual(upstream);
    const changed = await upstreams().updateUpstream({
      upstream: { value: { case: 'slug', value: 'x' } },
      displayName: 'X',
    });
    expect(changed.upstream).toMatchObject({ templateSlug: 'own', transport: upstream?.transport });
  });

  it.each<[string, Omit<MessageInitShape<typeof CreateUpstreamRequestSchema>, '$typeName'>, string, string]>([
    [
      'has no transport of its own',
      { transport: { value: { case: 'sse', value: { url: 'https://x.example' } } } },
      'transport',
      'must not be set together with template, which fills it in',
    ],
    [
      'has no headers of its own',
      { headers: [{ name: 'a', value: 'b' }] },
      'headers',
      'must not be set together with template, which fills it in',
    ],
    [
      'has no variables of its own',
      { env: [{ name: 'a', value: 'b' }] },
      'env',
      'must not be set together with template, which fills it in',
    ],
    [
      'has a template that there is',
      { template: use('none') },
      'template.slug',
      'is not the slug of a template of the project or of one that the server ships with',
    ],
    [
      'has settings of the right type',
      { template: use('filesystem', { directory: 5 }) },
      'template.settings.directory',
      'must be an absolute path of the machine that the gateway runs on, as a text',
    ],
    [
      'has settings that are not null',
      { template: use('filesystem', { directory: null }) },
      'template.settings.directory',
      'must be an absolute path of the machine that the gateway runs on, as a text',
    ],
    [
      'has all the settings',
      { template: use('filesystem') },
      'template.settings.directory',
      'must be given: the template requires it, as PATH (The directory; nothing outside of it can be reached.)',
    ],
    [
      'has no other settings',
      { template: use('deepwiki', { token: 'x' }) },
      'template.settings.token',
      'is not a setting of the template, which has none',
    ],
    [
      'is not longer than a request could make it',
      { template: use('filesystem', { directory: `/${'x'.repeat(5000)}` }) },
      'template.settings',
      'make an upstream that is not valid: stdio.args[2] must be at most 4096 characters',
    ],
  ])('%s', async (_, request, field, description) => {
    const refusal = refusalOf(
      upstreams().createUpstream({ slug: 'x', template: use('github', { token: 'x' }), ...request }),
    );
    expect(await refusal).toMatchObject({ code: 'InvalidArgument', violations: [{ field, description }] });
  });

  it('has a transport or a template', async () => {
    expect(await refusalOf(upstreams().createUpstream({ slug: 'x' }))).toMatchObject({
      code: 'InvalidArgument',
      violations: [{ field: 'transport' }],
    });
  });

  it('has no URL with places unless it comes from a template', async () => {
    const transport = { value: { case: 'sse' as const, value: { url: `https://x.example/\${a}` } } };
    expect(await refusalOf(upstreams().createUpstream({ slug: 'x', transport }))).toMatchObject({
      violations: [
        {
          field: 'transport.sse.url',
          description: 'must be a valid URI; only templates have places such as ${name}',
        },
      ],
    });
  });

  it('has a destination that is checked as any other', async () => {
    await templates().createUpstreamTemplate({
      slug: 'base',
      content: {
        transport: { value: { case: 'streamableHttp', value: { url: `\${base}` } } },
        settings: [{ name: 'base', required: true, type: SettingType.URL }],
      },
    });
    const template = use('base', { base: 'https://user:pass@x.example/' });
    expect(await refusalOf(upstreams().createUpstream({ slug: 'x', template }))).toMatchObject({
      violations: [
        { field: 'transport.streamable_http.url', description: 'must not hold credentials; use auth or headers' },
      ],
    });
  });

  it('may authenticate in its own way', async () => {
    const auth = { value: { case: 'bearer' as const, value: { token: 'abc' } } };
    const { upstream } = await upstreams().createUpstream({ slug: 'x', template: use('deepwiki'), auth });
    expect(upstream).toMatchObject({ auth: { value: { case: 'bearer' } }, templateSlug: 'deepwiki' });
    expect(await secretsOf('x')).toMatchObject({ bearerToken: 'abc' });
  });
});
