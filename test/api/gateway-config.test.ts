import { fromJson, type JsonObject, toJson } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CreateGatewayRequestSchema,
  type ExpandedUpstream,
  ExpandedUpstreamSchema,
  type GatewayConfig,
  GatewayConfigSchema,
  GatewayService,
} from '../../gen/portcullis/v1/gateway_service_pb.ts';
import type { GuardrailConfig } from '../../gen/portcullis/v1/guardrail_config_pb.ts';
import { CreateUpstreamRequestSchema, UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { createInstallation, type Installation } from './installation.ts';

/*
 * The example of document 004 (MCP Gateways API), in the names of this contract: `servers_config.common_overrides` is
 * `common_overrides`, `servers` is `upstreams`, `saved_name` is `slug` (for the gateway `gateway_saved_name` is `slug`), `server_version` is
 * `version`, `input_guardrails_config` and `output_guardrails_config` are `input_guardrails` and `output_guardrails`,
 * `server_tools_guardrails_config` is `tool_definition_guardrails`, and `mcp_config` of an expanded server is `config`.
 */
const ORG_INPUT = { enabled: true, guardrail_name: 'Org Input Guardrail', block: ['injection_attack', 'pii'] };
const ORG_TOOLS = {
  enabled: true,
  guardrail_name: 'Org Server/Tools Guardrail',
  block: ['policy_violation', 'injection_attack', 'pii'],
};
const GITHUB_INPUT = {
  enabled: true,
  guardrail_name: 'GitHub-Specific Guardrail',
  block: ['injection_attack', 'pii', 'topic_detector'],
};
const EXAMPLE: JsonObject = {
  slug: 'my-shared-gateway',
  common_overrides: { input_guardrails: ORG_INPUT, tool_definition_guardrails: ORG_TOOLS },
  upstreams: [
    { slug: 'my-filesystem-server', version: 'v1' },
    { slug: 'my-github-server', version: 'v1', input_guardrails: GITHUB_INPUT },
  ],
};

/** What the registered servers say themselves. */
const FILES_OUTPUT = { enabled: true, guardrail_name: 'Files Output', block: ['pii'] };
const GITHUB_OWN_INPUT = { enabled: true, guardrail_name: 'GitHub Own Input', block: ['nsfw'] };
const FILES: JsonObject = {
  slug: 'my-filesystem-server',
  transport: { stdio: { command: 'allowed-command', args: ['/data'] } },
  env: [{ name: 'ROOT', value: 'secret-of-the-environment' }],
  tool_filter: { denied_tools: ['delete_*'] },
  output_guardrails: FILES_OUTPUT,
};
const GITHUB: JsonObject = {
  slug: 'my-github-server',
  transport: { streamable_http: { url: 'https://github.example.com/mcp' } },
  auth: { bearer: { token: 'secret-of-github' } },
  input_guardrails: GITHUB_OWN_INPUT,
  timeout: '30s',
};

let installation: Installation;

beforeEach(async () => {
  installation = await createInstallation();
  for (const upstream of [FILES, GITHUB]) {
    await upstreams().createUpstream(fromJson(CreateUpstreamRequestSchema, upstream));
  }
});

afterEach(() => installation.close());

const gateways = () => installation.as(installation.admin, GatewayService);
const upstreams = () => installation.as(installation.admin, UpstreamService);
const example = { gateway: { value: { case: 'slug' as const, value: 'my-shared-gateway' } } };

/** Stores a gateway and reads its expanded view. */
async function expand(gateway: JsonObject): Promise<GatewayConfig> {
  await gateways().createGateway(fromJson(CreateGatewayRequestSchema, { slug: 'my-shared-gateway', ...gateway }));
  const { config } = await gateways().getGatewayConfig(example);
  if (config === undefined) {
    throw new Error('the answer has no config');
  }
  return config;
}

/** Guardrails in the JSON form of the contract. */
function guardrailsOf(expanded: ExpandedUpstream | undefined) {
  const show = (config: GuardrailConfig | undefined) => ({
    name: config?.guardrailName ?? 'none',
    block: config?.block ?? [],
  });
  return { input: show(expanded?.config?.inputGuardrails), output: show(expanded?.config?.outputGuardrails) };
}

const none = { name: 'none', block: [] };
const named = ({ guardrail_name, block }: { guardrail_name: string; block: string[] }) => ({
  name: guardrail_name,
  block,
});

describe("the document's example", () => {
  it('is stored as references and overrides only', async () => {
    await gateways().createGateway(fromJson(CreateGatewayRequestSchema, EXAMPLE));
    const { gateway } = await gateways().getGateway(example);
    expect(gateway).toMatchObject({
      slug: 'my-shared-gateway',
      version: 'v1',
      commonOverrides: {
        inputGuardrails: { enabled: true, guardrailName: 'Org Input Guardrail', block: ['injection_attack', 'pii'] },
        toolDefinitionGuardrails: {
          enabled: true,
          guardrailName: 'Org Server/Tools Guardrail',
          block: ['policy_violation', 'injection_attack', 'pii'],
        },
      },
      upstreams: [
        { slug: 'my-filesystem-server', version: 'v1' },
        {
          slug: 'my-github-server',
          version: 'v1',
          inputGuardrails: {
            enabled: true,
            guardrailName: 'GitHub-Specific Guardrail',
            block: ['injection_attack', 'pii', 'topic_detector'],
          },
        },
      ],
    });
    expect(gateway?.commonOverrides?.outputGuardrails).toBeUndefined();
    expect(gateway?.upstreams[0]?.inputGuardrails).toBeUndefined();
  });

  it('is expanded like this', async () => {
    const config = await expand(EXAMPLE);
    expect(toJson(GatewayConfigSchema, config, { useProtoFieldName: true })).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      slug: 'my-shared-gateway',
      version: 'v1',
      common_overrides: { input_guardrails: ORG_INPUT, tool_definition_guardrails: ORG_TOOLS },
      expanded_upstreams: [
        {
          slug: 'my-filesystem-server',
          version: 'v1',
          config: {
            id: expect.stringMatching(/^[0-9a-f-]{36}$/),
            project_id: installation.admin.projectId,
            slug: 'my-filesystem-server',
            version: 'v1',
            transport: {
              stdio: {
                command: 'allowed-command',
                args: ['/data'],
                sharing: 'CONNECTION_SHARING_PER_PRINCIPAL',
                max_processes: 32,
                idle_timeout: '300s',
              },
            },
            env: [{ name: 'ROOT' }],
            tool_filter: { denied_tools: ['delete_*'] },
            era: 'ERA_AUTO',
            decision_commit: 'DECISION_COMMIT_BEFORE_FORWARD',
            timeout: '60s',
            enabled: true,
            etag: '1',
            create_time: expect.any(String),
            update_time: expect.any(String),
            output_guardrails: FILES_OUTPUT,
          },
          gateway_overrides: { slug: 'my-filesystem-server', version: 'v1' },
          effective_prefix: 'my-filesystem-server_',
        },
        {
          slug: 'my-github-server',
          version: 'v1',
          config: {
            id: expect.stringMatching(/^[0-9a-f-]{36}$/),
            project_id: installation.admin.projectId,
            slug: 'my-github-server',
            version: 'v1',
            transport: { streamable_http: { url: 'https://github.example.com/mcp' } },
            auth: { bearer: {} },
            tool_filter: {},
            era: 'ERA_AUTO',
            decision_commit: 'DECISION_COMMIT_BEFORE_FORWARD',
            timeout: '30s',
            enabled: true,
            etag: '1',
            create_time: expect.any(String),
            update_time: expect.any(String),
          },
          gateway_overrides: { slug: 'my-github-server', version: 'v1', input_guardrails: GITHUB_INPUT },
          effective_prefix: 'my-github-server_',
        },
      ],
      discovery_mode: 'DISCOVERY_MODE_LIST',
    });
  });

  it('has no secret in either view', async () => {
    const config = await expand(EXAMPLE);
    const { gateway } = await gateways().getGateway(example);
    expect(
      JSON.stringify([config, gateway], (_key, value: unknown) => (typeof value === 'bigint' ? '' : value)),
    ).not.toContain('secret-of');
  });

  it('gives my-filesystem-server the input guardrails of common_overrides, which its config does not repeat', async () => {
    const [files] = (await expand(EXAMPLE)).expandedUpstreams;
    expect(guardrailsOf(files)).toEqual({ input: none, output: named(FILES_OUTPUT) });
  });

  it('drops the input guardrails of my-github-server, because common wins, but echoes them in its overrides', async () => {
    const config = await expand(EXAMPLE);
    const github = config.expandedUpstreams[1];
    expect(guardrailsOf(github).input).toEqual(none);
    expect(github?.gatewayOverrides?.inputGuardrails?.guardrailName).toBe('GitHub-Specific Guardrail');
    expect(config.commonOverrides?.inputGuardrails?.guardrailName).toBe('Org Input Guardrail');
  });

  it('has the guardrails of tool definitions once, at the top', async () => {
    const config = await expand(EXAMPLE);
    expect(config.commonOverrides?.toolDefinitionGuardrails?.guardrailName).toBe('Org Server/Tools Guardrail');
    for (const expanded of config.expandedUpstreams) {
      expect(JSON.stringify(toJson(ExpandedUpstreamSchema, expanded))).not.toContain('Org Server/Tools Guardrail');
    }
  });
});

describe('the precedence of overrides', () => {
  const github = (overrides: JsonObject) => ({ slug: 'my-github-server', ...overrides });
  const only = async (entry: JsonObject, common: JsonObject = {}) =>
    (await expand({ common_overrides: common, upstreams: [entry] })).expandedUpstreams[0];

  it("is the upstream's own, where the gateway says nothing", async () => {
    expect(guardrailsOf(await only(github({})))).toEqual({ input: named(GITHUB_OWN_INPUT), output: none });
  });

  it("puts the entry before the upstream's own, as a whole", async () => {
    const expanded = await only(github({ input_guardrails: { guardrail_name: 'Entry' } }));
    expect(guardrailsOf(expanded)).toEqual({ input: { name: 'Entry', block: [] }, output: none });
    expect(expanded?.config?.inputGuardrails?.enabled).toBeUndefined();
  });

  it('puts the entry into place for that one upstream only', async () => {
    const upstreamsOfGateway = [
      github({ output_guardrails: { guardrail_name: 'Entry' } }),
      { slug: 'my-filesystem-server' },
    ];
    const { expandedUpstreams } = await expand({ upstreams: upstreamsOfGateway });
    expect(expandedUpstreams.map((expanded) => guardrailsOf(expanded).output.name)).toEqual(['Entry', 'Files Output']);
  });

  it("puts common_overrides before the upstream's own, which is then not in its config", async () => {
    const expanded = await only(github({}), { input_guardrails: ORG_INPUT });
    expect(guardrailsOf(expanded).input).toEqual(none);
  });

  it('puts common_overrides before the entry, for the key that both set', async () => {
    const expanded = await only(
      github({ input_guardrails: { guardrail_name: 'Input' }, output_guardrails: { guardrail_name: 'Output' } }),
      { input_guardrails: ORG_INPUT },
    );
    expect(guardrailsOf(expanded)).toEqual({ input: none, output: { name: 'Output', block: [] } });
    expect(expanded?.gatewayOverrides?.inputGuardrails?.guardrailName).toBe('Input');
  });

  it('lets keys that common_overrides does not set flow through, also of the upstream itself', async () => {
    const expanded = await only({ slug: 'my-filesystem-server' }, { tool_definition_guardrails: ORG_TOOLS });
    expect(guardrailsOf(expanded)).toEqual({ input: none, output: named(FILES_OUTPUT) });
  });

  it('counts a common override as set even when it is empty', async () => {
    const expanded = await only(github({ input_guardrails: { guardrail_name: 'Input' } }), { input_guardrails: {} });
    expect(guardrailsOf(expanded).input).toEqual(none);
  });

  it('lets everything else come from the upstream unchanged', async () => {
    const { upstream } = await upstreams().getUpstream({
      upstream: { value: { case: 'slug', value: 'my-filesystem-server' } },
    });
    expect((await only({ slug: 'my-filesystem-server' }))?.config).toEqual(upstream);
  });
});

describe('the expanded view', () => {
  it('follows a change of the upstream, whose etag it shows', async () => {
    await gateways().createGateway(fromJson(CreateGatewayRequestSchema, EXAMPLE));
    await upstreams().updateUpstream({
      upstream: { value: { case: 'slug', value: 'my-filesystem-server' } },
      description: 'Changed.',
    });
    const { config } = await gateways().getGatewayConfig(example);
    expect(config?.expandedUpstreams[0]?.config).toMatchObject({ description: 'Changed.', etag: '2' });
  });

  it("has the entry's timeout, and the tools that both filters let through", async () => {
    const entry = {
      tool_filter: { allowed_tools: ['read_*', 'delete_file'], denied_tools: ['read_secret'] },
      timeout: '5s',
    };
    const [files, github] = (
      await expand({ upstreams: [{ slug: 'my-filesystem-server', ...entry }, { slug: 'my-github-server' }] })
    ).expandedUpstreams;
    expect(files?.config).toMatchObject({
      toolFilter: { allowedTools: ['read_*', 'delete_file'], deniedTools: ['delete_*', 'read_secret'] },
      timeout: { seconds: 5n },
    });
    expect(files?.gatewayOverrides?.toolFilter).toMatchObject({ deniedTools: ['read_secret'] });
    expect(github?.config).toMatchObject({
      timeout: { seconds: 30n },
      toolFilter: { allowedTools: [], deniedTools: [] },
    });
  });

  it('tells the prefix: the slug, an own one, none, or nothing where it is the only upstream', async () => {
    const [files, github] = [{ slug: 'my-filesystem-server' }, { slug: 'my-github-server' }];
    await expand({});
    const prefixes = async (upstreams: JsonObject[]) => {
      await gateways().patchGateway({ ...example, patch: { upstreams: null } });
      await gateways().patchGateway({ ...example, patch: { upstreams } });
      const { config } = await gateways().getGatewayConfig(example);
      return config?.expandedUpstreams.map(({ effectivePrefix }) => effectivePrefix);
    };
    expect(await prefixes([files, github])).toEqual(['my-filesystem-server_', 'my-github-server_']);
    expect(
      await prefixes([
        { ...files, name_prefix: 'fs' },
        { ...github, name_prefix: '' },
      ]),
    ).toEqual(['fs_', '']);
    expect(await prefixes([files])).toEqual(['']);
    expect(await prefixes([{ ...files, name_prefix: 'fs' }])).toEqual(['fs_']);
  });

  it('of a deleted gateway shows an entry without config once its upstream is gone', async () => {
    await gateways().createGateway(fromJson(CreateGatewayRequestSchema, EXAMPLE));
    await gateways().deleteGateway(example);
    await upstreams().deleteUpstream({ upstream: { value: { case: 'slug', value: 'my-github-server' } } });
    const { config } = await gateways().getGatewayConfig(example);
    expect(config?.expandedUpstreams).toMatchObject([
      { slug: 'my-filesystem-server', config: { slug: 'my-filesystem-server' } },
      { slug: 'my-github-server', gatewayOverrides: { slug: 'my-github-server' } },
    ]);
    expect(config?.expandedUpstreams[1]?.config).toBeUndefined();
  });
});
