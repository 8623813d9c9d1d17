import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { DiscoveryMode } from '../../gen/portcullis/v1/gateway_pb.ts';
import { createGatewayPatch } from '../../src/api/gateway-patch.ts';
import { GatewayError } from '../../src/domain/errors.ts';
import { contentOf, gatewayOf, withContent } from './gateway-samples.ts';

const applyPatch = createGatewayPatch();

/** The content of a gateway after a patch. */
function patched(stored: JsonObject, patch: JsonObject): JsonValue {
  const gateway = gatewayOf(stored);
  const { update } = applyPatch(gateway, patch);
  return contentOf(
    withContent(gateway, {
      displayName: update.displayName ?? 'not set',
      description: update.description ?? 'not set',
      commonOverrides: update.commonOverrides,
      upstreams: update.upstreams?.upstreams ?? [],
      discoveryMode: update.discoveryMode ?? DiscoveryMode.UNSPECIFIED,
    }),
  );
}

/** What a patch is refused with. */
function violationsOf(stored: JsonObject, patch: JsonObject) {
  try {
    applyPatch(gatewayOf(stored), patch);
  } catch (error) {
    if (error instanceof GatewayError && error.reason === 'validation_failed') {
      return error.violations;
    }
    throw error;
  }
  throw new Error('the patch was not refused');
}

const LIST = { discovery_mode: 'DISCOVERY_MODE_LIST' };
const files = { slug: 'files', version: 'v1' };
const github = { slug: 'github', version: 'v1' };

interface Case {
  readonly stored: JsonObject;
  readonly patch: JsonObject;
  /** What is stored then; the discovery mode is LIST unless it is told. */
  readonly result: JsonObject;
}

const AT_THE_TOP: Record<string, Case> = {
  'an empty patch changes nothing': {
    stored: { display_name: 'Shared', upstreams: [files], discovery_mode: 'DISCOVERY_MODE_SEARCH' },
    patch: {},
    result: { display_name: 'Shared', upstreams: [files], discovery_mode: 'DISCOVERY_MODE_SEARCH' },
  },
  'a text is replaced, and what is not named stays': {
    stored: { display_name: 'Shared', description: 'For all.', upstreams: [files] },
    patch: { display_name: 'Common' },
    result: { display_name: 'Common', description: 'For all.', upstreams: [files] },
  },
  'null empties display_name and description': {
    stored: { display_name: 'Shared', description: 'For all.' },
    patch: { display_name: null, description: null },
    result: {},
  },
  'null of what is not there does nothing': {
    stored: { display_name: 'Shared' },
    patch: { description: null, common_overrides: null, upstreams: null, discovery_mode: null },
    result: { display_name: 'Shared' },
  },
  'null of discovery_mode is LIST again': {
    stored: { discovery_mode: 'DISCOVERY_MODE_SEARCH' },
    patch: { discovery_mode: null },
    result: {},
  },
  'discovery_mode is set by its name': {
    stored: {},
    patch: { discovery_mode: 'DISCOVERY_MODE_SEARCH' },
    result: { discovery_mode: 'DISCOVERY_MODE_SEARCH' },
  },
  'null of common_overrides removes them all': {
    stored: { common_overrides: { input_guardrails: { enabled: true }, output_guardrails: { block: ['pii'] } } },
    patch: { common_overrides: null },
    result: {},
  },
  'upstreams: null removes all entries': {
    stored: { display_name: 'Shared', upstreams: [files, github] },
    patch: { upstreams: null },
    result: { display_name: 'Shared' },
  },
  'upstreams: [] names no entry, so all stay': {
    stored: { upstreams: [files, github] },
    patch: { upstreams: [] },
    result: { upstreams: [files, github] },
  },
};

const GUARDRAILS: Record<string, Case> = {
  'one guardrail of the common overrides is set beside the others': {
    stored: { common_overrides: { input_guardrails: { enabled: true } } },
    patch: { common_overrides: { tool_definition_guardrails: { guardrail_name: 'Org', block: ['pii'] } } },
    result: {
      common_overrides: {
        input_guardrails: { enabled: true },
        tool_definition_guardrails: { guardrail_name: 'Org', block: ['pii'] },
      },
    },
  },
  'null removes one guardrail of the common overrides': {
    stored: { common_overrides: { input_guardrails: { enabled: true }, output_guardrails: { enabled: false } } },
    patch: { common_overrides: { input_guardrails: null } },
    result: { common_overrides: { output_guardrails: { enabled: false } } },
  },
  'null of the last guardrail leaves no common overrides': {
    stored: { common_overrides: { input_guardrails: { enabled: true } } },
    patch: { common_overrides: { input_guardrails: null } },
    result: {},
  },
  'fields of a guardrail are merged': {
    stored: { common_overrides: { input_guardrails: { enabled: true, guardrail_name: 'Org', block: ['pii'] } } },
    patch: { common_overrides: { input_guardrails: { enabled: false } } },
    result: { common_overrides: { input_guardrails: { enabled: false, guardrail_name: 'Org', block: ['pii'] } } },
  },
  'null removes a field of a guardrail': {
    stored: { common_overrides: { input_guardrails: { enabled: true, guardrail_name: 'Org', block: ['pii'] } } },
    patch: { common_overrides: { input_guardrails: { guardrail_name: null, block: null } } },
    result: { common_overrides: { input_guardrails: { enabled: true } } },
  },
  'block is replaced as a whole': {
    stored: { common_overrides: { input_guardrails: { block: ['pii', 'injection_attack'] } } },
    patch: { common_overrides: { input_guardrails: { block: ['topic_detector'] } } },
    result: { common_overrides: { input_guardrails: { block: ['topic_detector'] } } },
  },
  'additional_config is merged at every level; its arrays are replaced, and null deletes in it': {
    stored: {
      common_overrides: {
        output_guardrails: {
          additional_config: {
            pii: { entities: ['email', 'iban'], mask: { with: '*', keep: 4 } },
            topic: { threshold: 0.5 },
            language: 'en',
          },
        },
      },
    },
    patch: {
      common_overrides: {
        output_guardrails: {
          additional_config: {
            pii: { entities: ['phone'], mask: { keep: null, words: true } },
            topic: null,
            language: { only: ['en', null] },
            new: { a: null, b: 1 },
          },
        },
      },
    },
    result: {
      common_overrides: {
        output_guardrails: {
          additional_config: {
            pii: { entities: ['phone'], mask: { with: '*', words: true } },
            language: { only: ['en', null] },
            new: { b: 1 },
          },
        },
      },
    },
  },
  'null removes additional_config': {
    stored: { common_overrides: { input_guardrails: { enabled: true, additional_config: { a: 1 } } } },
    patch: { common_overrides: { input_guardrails: { additional_config: null } } },
    result: { common_overrides: { input_guardrails: { enabled: true } } },
  },
  'keys that mean something to JavaScript are plain keys': {
    stored: { common_overrides: { input_guardrails: { additional_config: { toString: { a: 1 } } } } },
    patch: {
      common_overrides: { input_guardrails: { additional_config: { constructor: { b: 2 }, toString: { b: 2 } } } },
    },
    result: {
      common_overrides: {
        input_guardrails: { additional_config: { toString: { a: 1, b: 2 }, constructor: { b: 2 } } },
      },
    },
  },
};

const ENTRIES: Record<string, Case> = {
  'an unknown slug is added at the end': {
    stored: { upstreams: [github, files] },
    patch: { upstreams: [{ slug: 'slack', name_prefix: 's' }, { slug: 'mail' }] },
    result: {
      upstreams: [github, files, { slug: 'slack', version: 'v1', name_prefix: 's' }, { slug: 'mail', version: 'v1' }],
    },
  },
  'a known slug and version is merged where it stands, also when it comes last in the patch': {
    stored: { upstreams: [{ ...files, name_prefix: 'f' }, github] },
    patch: { upstreams: [{ slug: 'mail' }, { slug: 'files', timeout: '5s' }] },
    result: { upstreams: [{ ...files, name_prefix: 'f', timeout: '5s' }, github, { slug: 'mail', version: 'v1' }] },
  },
  'no version, an empty one and null are v1': {
    stored: { upstreams: [files, github, { slug: 'mail', version: 'v1' }] },
    patch: {
      upstreams: [
        { slug: 'files', name_prefix: 'a' },
        { slug: 'github', version: '', name_prefix: 'b' },
        { slug: 'mail', version: null, name_prefix: 'c' },
      ],
    },
    result: {
      upstreams: [
        { ...files, name_prefix: 'a' },
        { ...github, name_prefix: 'b' },
        { slug: 'mail', version: 'v1', name_prefix: 'c' },
      ],
    },
  },
  'another version of a known slug is another entry': {
    stored: { upstreams: [{ ...files, name_prefix: 'f' }] },
    patch: { upstreams: [{ slug: 'files', version: 'v2', name_prefix: 'f2' }] },
    result: {
      upstreams: [
        { ...files, name_prefix: 'f' },
        { slug: 'files', version: 'v2', name_prefix: 'f2' },
      ],
    },
  },
  '_delete removes the entry of that version only': {
    stored: { upstreams: [{ ...files, name_prefix: 'f' }, { slug: 'files', version: 'v2' }, github] },
    patch: { upstreams: [{ slug: 'files', version: 'v2', _delete: true }] },
    result: { upstreams: [{ ...files, name_prefix: 'f' }, github] },
  },
  '_delete of something missing does nothing': {
    stored: { upstreams: [files] },
    patch: {
      upstreams: [
        { slug: 'github', _delete: true },
        { slug: 'files', version: 'v9', _delete: true },
      ],
    },
    result: { upstreams: [files] },
  },
  '_delete wins over what else the entry says': {
    stored: { upstreams: [files, github] },
    patch: { upstreams: [{ slug: 'files', name_prefix: 'f', _delete: true }] },
    result: { upstreams: [github] },
  },
  '_delete: false is an entry like any other': {
    stored: { upstreams: [files] },
    patch: { upstreams: [{ slug: 'files', name_prefix: 'f', _delete: false }] },
    result: { upstreams: [{ ...files, name_prefix: 'f' }] },
  },
  'one is removed, one is changed and one is added at once': {
    stored: { upstreams: [files, github] },
    patch: { upstreams: [{ slug: 'mail' }, { slug: 'files', _delete: true }, { slug: 'github', name_prefix: 'gh' }] },
    result: {
      upstreams: [
        { ...github, name_prefix: 'gh' },
        { slug: 'mail', version: 'v1' },
      ],
    },
  },
  'null at every field of an entry removes it': {
    stored: {
      upstreams: [
        {
          ...files,
          input_guardrails: { enabled: true },
          output_guardrails: { enabled: true },
          tool_filter: { allowed_tools: ['read_*'] },
          name_prefix: 'f',
          tools: { read_file: { name: 'read' } },
          timeout: '5s',
        },
      ],
    },
    patch: {
      upstreams: [
        {
          slug: 'files',
          input_guardrails: null,
          output_guardrails: null,
          tool_filter: null,
          name_prefix: null,
          tools: null,
          timeout: null,
        },
      ],
    },
    result: { upstreams: [files] },
  },
  'guardrails of an entry are merged like the common ones': {
    stored: { upstreams: [{ ...files, input_guardrails: { block: ['pii'], additional_config: { a: { b: 1 } } } }] },
    patch: {
      upstreams: [{ slug: 'files', input_guardrails: { block: ['nsfw', 'pii'], additional_config: { a: { c: 2 } } } }],
    },
    result: {
      upstreams: [{ ...files, input_guardrails: { block: ['nsfw', 'pii'], additional_config: { a: { b: 1, c: 2 } } } }],
    },
  },
  'a list of the tool filter is replaced, the other one stays; null empties': {
    stored: {
      upstreams: [
        { ...files, tool_filter: { allowed_tools: ['read_*', 'list_*'], denied_tools: ['read_secret'] } },
        { ...github, tool_filter: { allowed_tools: ['get_*'], denied_tools: ['get_token'] } },
      ],
    },
    patch: {
      upstreams: [
        { slug: 'files', tool_filter: { allowed_tools: ['write_*'] } },
        { slug: 'github', tool_filter: { allowed_tools: null } },
      ],
    },
    result: {
      upstreams: [
        { ...files, tool_filter: { allowed_tools: ['write_*'], denied_tools: ['read_secret'] } },
        { ...github, tool_filter: { denied_tools: ['get_token'] } },
      ],
    },
  },
  'an empty name_prefix is not the same as none': {
    stored: { upstreams: [{ ...files, name_prefix: 'f' }, github] },
    patch: { upstreams: [{ slug: 'files', name_prefix: '' }] },
    result: { upstreams: [{ ...files, name_prefix: '' }, github] },
  },
};

const TOOLS: Record<string, Case> = {
  'tools are merged tool by tool; null removes one': {
    stored: { upstreams: [{ ...files, tools: { read: { name: 'open' }, write: { name: 'save' } } }] },
    patch: {
      upstreams: [
        { slug: 'files', tools: { read: { description: 'Opens.' }, write: null, list: { name: 'ls' }, gone: null } },
      ],
    },
    result: {
      upstreams: [{ ...files, tools: { read: { name: 'open', description: 'Opens.' }, list: { name: 'ls' } } }],
    },
  },
  'null removes a field of a tool': {
    stored: {
      upstreams: [
        {
          ...files,
          tools: {
            read: { name: 'open', description: 'Opens.', argument_defaults: { a: 1 }, fixed_arguments: { b: 2 } },
          },
        },
      ],
    },
    patch: {
      upstreams: [
        {
          slug: 'files',
          tools: { read: { name: null, description: null, argument_defaults: null } },
        },
      ],
    },
    result: { upstreams: [{ ...files, tools: { read: { fixed_arguments: { b: 2 } } } }] },
  },
  'arguments are merged as objects; their arrays are replaced': {
    stored: {
      upstreams: [
        {
          ...files,
          tools: {
            read: {
              argument_defaults: { options: { depth: 1, follow: true }, tags: ['a', 'b'] },
              fixed_arguments: { root: '/srv', limits: { bytes: 10 } },
            },
          },
        },
      ],
    },
    patch: {
      upstreams: [
        {
          slug: 'files',
          tools: {
            read: {
              argument_defaults: { options: { depth: 2, follow: null }, tags: ['c'] },
              fixed_arguments: { limits: { lines: 5 }, root: null },
            },
          },
        },
      ],
    },
    result: {
      upstreams: [
        {
          ...files,
          tools: {
            read: {
              argument_defaults: { options: { depth: 2 }, tags: ['c'] },
              fixed_arguments: { limits: { bytes: 10, lines: 5 } },
            },
          },
        },
      ],
    },
  },
};

describe.each(Object.entries({ ...AT_THE_TOP, ...GUARDRAILS, ...ENTRIES, ...TOOLS }))(
  'in a merge patch, %s',
  (_name, { stored, patch, result }) => {
    it('which touches neither the stored gateway nor the patch', () => {
      const before = JSON.stringify(patch);
      const gateway = gatewayOf(stored);
      const gatewayBefore = JSON.stringify(gateway);
      expect(patched(stored, patch)).toEqual({ ...LIST, ...result });
      applyPatch(gateway, patch);
      expect(JSON.stringify(gateway)).toBe(gatewayBefore);
      expect(JSON.stringify(patch)).toBe(before);
    });

    it('and once more changes nothing', () => {
      const once = patched(stored, patch) as JsonObject; // the content of a gateway
      expect(patched(once, patch)).toEqual(once);
    });
  },
);

it('keeps the order of the entries, and of the tools in them', () => {
  const stored = { upstreams: [github, { ...files, tools: { b: { name: 'x' }, a: { name: 'y' } } }] };
  const patch = { upstreams: [{ slug: 'a' }, { slug: 'files', tools: { c: { name: 'z' }, a: { name: 'w' } } }] };
  expect(JSON.stringify(patched(stored, patch))).toBe(
    JSON.stringify({
      upstreams: [
        github,
        { ...files, tools: { b: { name: 'x' }, a: { name: 'w' }, c: { name: 'z' } } },
        { slug: 'a', version: 'v1' },
      ],
      ...LIST,
    }),
  );
});

const entry = (changes: JsonObject): JsonObject => ({ upstreams: [{ slug: 'files', ...changes }] });

const KEYS = 'slug, version, input_guardrails, output_guardrails, tool_filter, name_prefix, tools, timeout';

const REFUSED: Record<string, [patch: JsonObject, field: string, description: string]> = {
  'an unknown key': [
    { servers: [] },
    'patch.servers',
    'is not a key here; use one of display_name, description, common_overrides, upstreams, discovery_mode',
  ],
  'an unknown key even when it is to be deleted': [
    { servers: null },
    'patch.servers',
    'is not a key here; use one of display_name, description, common_overrides, upstreams, discovery_mode',
  ],
  'a field of the gateway that never changes': [
    { slug: 'other' },
    'patch.slug',
    'is not a key here; use one of display_name, description, common_overrides, upstreams, discovery_mode',
  ],
  'a name in camel case': [{ displayName: 'x' }, 'patch.displayName', 'is not a key here; write display_name'],
  'a name in camel case in an entry': [
    entry({ namePrefix: 'x' }),
    'patch.upstreams[0].namePrefix',
    'is not a key here; write name_prefix',
  ],
  'an override of an unknown key': [
    { upstreams: [{ slug: 'github' }, { slug: 'files', command: 'rm' }] },
    'patch.upstreams[1].command',
    `is not a key here; use one of ${KEYS}`,
  ],
  'guardrails of tool definitions in an entry': [
    entry({ tool_definition_guardrails: { enabled: true } }),
    'patch.upstreams[0].tool_definition_guardrails',
    'holds for all upstreams; set it in common_overrides',
  ],
  '_delete where nothing is an entry': [
    { common_overrides: { _delete: true } },
    'patch.common_overrides._delete',
    'is for entries of upstreams only; null deletes other keys',
  ],
  '_delete of a tool': [
    entry({ tools: { read: { _delete: true } } }),
    'patch.upstreams[0].tools["read"]._delete',
    'is for entries of upstreams only; null deletes other keys',
  ],
  '_delete that is a text': [
    entry({ _delete: 'true' }),
    'patch.upstreams[0]._delete',
    'must be true, which removes the entry, or false',
  ],
  '_delete that is null': [
    entry({ _delete: null }),
    'patch.upstreams[0]._delete',
    'must be true, which removes the entry, or false',
  ],
  'an unknown key in an entry that is deleted': [
    entry({ nope: 1, _delete: true }),
    'patch.upstreams[0].nope',
    `is not a key here; use one of ${KEYS}`,
  ],
  'an entry without slug': [
    { upstreams: [{ name_prefix: 'x' }] },
    'patch.upstreams[0].slug',
    'must be the slug of an upstream; it says which entry is meant',
  ],
  'an entry whose slug is null': [
    { upstreams: [{ slug: null }] },
    'patch.upstreams[0].slug',
    'must be the slug of an upstream; it says which entry is meant',
  ],
  'an entry whose slug is a number': [
    { upstreams: [{ slug: 7 }] },
    'patch.upstreams[0].slug',
    'must be the slug of an upstream; it says which entry is meant',
  ],
  'an entry whose version is a number': [
    entry({ version: 2 }),
    'patch.upstreams[0].version',
    'must be the version of the upstream, a string',
  ],
  'an entry that is null': [{ upstreams: [null] }, 'patch.upstreams[0]', 'must be an object'],
  'upstreams as an object': [{ upstreams: { files: {} } }, 'patch.upstreams', 'must be a list of entries, or null'],
  'the same slug and version twice': [
    { upstreams: [{ slug: 'files' }, { slug: 'github' }, { slug: 'files', version: 'v1', _delete: true }] },
    'patch.upstreams[2]',
    'names the same slug and version as patch.upstreams[0]; put both changes into one entry',
  ],
  'a text where an object belongs': [{ common_overrides: 'none' }, 'patch.common_overrides', 'must be an object'],
  'a list where an object belongs': [entry({ tools: ['read'] }), 'patch.upstreams[0].tools', 'must be an object'],
  'a tool that is a text': [entry({ tools: { read: 'x' } }), 'patch.upstreams[0].tools["read"]', 'must be an object'],
  'arguments that are a list': [
    entry({ tools: { read: { fixed_arguments: [1] } } }),
    'patch.upstreams[0].tools["read"].fixed_arguments',
    'must be an object',
  ],
  'a number where a text belongs': [{ display_name: 5 }, 'patch.display_name', 'must be a string, or null'],
  'a text where a truth value belongs': [
    { common_overrides: { input_guardrails: { enabled: 'yes' } } },
    'patch.common_overrides.input_guardrails.enabled',
    'must be true or false, or null',
  ],
  'a list of other things than texts': [
    { common_overrides: { input_guardrails: { block: ['pii', 3] } } },
    'patch.common_overrides.input_guardrails.block',
    'must be a list of strings, or null',
  ],
  'a duration that is a number': [
    entry({ timeout: 60 }),
    'patch.upstreams[0].timeout',
    'must be a duration in seconds, such as "60s", or null',
  ],
  'an unknown discovery mode': [
    { discovery_mode: 'SEARCH' },
    'patch.discovery_mode',
    'must be one of DISCOVERY_MODE_LIST, DISCOVERY_MODE_SEARCH, or null',
  ],
  'NaN in arguments': [
    entry({ tools: { read: { argument_defaults: { list: [1, { x: Number.NaN }] } } } }),
    'patch.upstreams[0].tools["read"].argument_defaults.list[1].x',
    'must not be NaN or infinite',
  ],
  '__proto__ in open JSON': [
    JSON.parse(
      '{"common_overrides":{"input_guardrails":{"additional_config":{"a":{"__proto__":{"b":1}}}}}}',
    ) as JsonObject,
    'patch.common_overrides.input_guardrails.additional_config.a',
    'must not have the key "__proto__"',
  ],
  '__proto__ as a tool': [
    JSON.parse('{"upstreams":[{"slug":"files","tools":{"__proto__":{"name":"x"}}}]}') as JsonObject,
    'patch.upstreams[0].tools',
    'must not have the key "__proto__"',
  ],
  '__proto__ as a key': [
    JSON.parse('{"upstreams":[{"slug":"files","__proto__":{"name_prefix":"x"}}]}') as JsonObject,
    'patch.upstreams[0].__proto__',
    `is not a key here; use one of ${KEYS}`,
  ],
};

describe.each(Object.entries(REFUSED))('a merge patch with %s', (_name, [patch, field, description]) => {
  it('is refused, and says where and what to do', () => {
    expect(violationsOf({ upstreams: [files, github] }, patch)).toEqual([{ field, description }]);
  });
});

describe('the result of a merge patch', () => {
  it('keeps the limits of the schema, told by their place in the patch', () => {
    const patch = {
      display_name: 'x'.repeat(129),
      upstreams: [
        { slug: 'mail', name_prefix: 'a b' },
        { slug: 'files', timeout: '0.01s', tools: { read: { name: 'x'.repeat(129) } } },
      ],
    };
    expect(violationsOf({ upstreams: [github, files] }, patch).map(({ field }) => field)).toEqual([
      'patch.display_name',
      'patch.upstreams[1].tools["read"].name',
      'patch.upstreams[1].timeout',
      'patch.upstreams[0].name_prefix',
    ]);
  });

  it('has at most 100 entries', () => {
    const upstreams = Array.from({ length: 101 }, (_, index) => ({ slug: `u${index}` }));
    expect(violationsOf({}, { upstreams })).toEqual([
      { field: 'patch.upstreams', description: 'must contain no more than 100 item(s)' },
    ]);
  });

  it('is not LIST because DISCOVERY_MODE_UNSPECIFIED was asked for', () => {
    for (const mode of ['DISCOVERY_MODE_UNSPECIFIED', 0, 7]) {
      expect(violationsOf({}, { discovery_mode: mode })).toMatchObject([{ field: 'patch.discovery_mode' }]);
    }
  });

  it('is not nested without end', () => {
    const nested = (levels: number): JsonObject => (levels === 0 ? {} : { a: nested(levels - 1) });
    const patch = (levels: number) => entry({ tools: { read: { fixed_arguments: nested(levels) } } });
    expect(() => applyPatch(gatewayOf({}), patch(31))).not.toThrow();
    expect(violationsOf({}, patch(32))).toEqual([
      {
        field: `patch.upstreams[0].tools["read"].fixed_arguments${'.a'.repeat(32)}`,
        description: 'is nested too deep; use fewer levels',
      },
    ]);
    expect(violationsOf({}, patch(5_000))).toHaveLength(1);
  });

  it('tells everything that is wrong at once', () => {
    const patch = { nope: 1, display_name: 5, upstreams: [{ slug: 'files', nope: 1 }, {}] };
    expect(violationsOf({}, patch).map(({ field }) => field)).toEqual([
      'patch.nope',
      'patch.display_name',
      'patch.upstreams[0].nope',
      'patch.upstreams[1].slug',
    ]);
  });
});
