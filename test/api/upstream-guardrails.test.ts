import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GuardrailConfigSchema } from '../../gen/portcullis/v1/guardrail_config_pb.ts';
import { CreateUpstreamRequestSchema, UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { createInstallation, type Installation, refusalOf } from './installation.ts';

let gateway: Installation;

beforeEach(async () => {
  gateway = await createInstallation();
});

afterEach(() => gateway.close());

const client = () => gateway.as(gateway.admin, UpstreamService);
const upstream = { value: { case: 'slug' as const, value: 'demo' } };
const demo = {
  slug: 'demo',
  transport: { value: { case: 'streamableHttp' as const, value: { url: 'https://mcp.example.com/mcp' } } },
};
const strict = create(GuardrailConfigSchema, {
  enabled: true,
  guardrailName: 'strict',
  block: ['pii', 'secrets'],
  additionalConfig: { pii: { names: ['email'], score: 0.5, deep: [{ on: null }] } },
});
const off = create(GuardrailConfigSchema, { enabled: false });

describe('the guardrails of an upstream', () => {
  it('are none unless a request sets them', async () => {
    const made = (await client().createUpstream(demo)).upstream;
    expect([made?.inputGuardrails, made?.outputGuardrails]).toEqual([undefined, undefined]);
    const empty = (await client().createUpstream({ ...demo, slug: 'other', inputGuardrails: {} })).upstream;
    expect(empty?.inputGuardrails).toBeUndefined();
  });

  it('are stored and shown as they came', async () => {
    await client().createUpstream({ ...demo, inputGuardrails: strict, outputGuardrails: off });
    const read = (await client().getUpstream({ upstream })).upstream;
    expect(read?.inputGuardrails).toEqual(strict);
    expect(read?.outputGuardrails).toEqual(off);
    expect((await client().listUpstreams({})).upstreams).toEqual([read]);
  });

  it('stay when an update does not name them, are replaced as a whole, and go with an empty message', async () => {
    await client().createUpstream({ ...demo, inputGuardrails: strict, outputGuardrails: strict });
    const kept = (await client().updateUpstream({ upstream, displayName: 'Demo' })).upstream;
    expect(kept).toMatchObject({ inputGuardrails: strict, outputGuardrails: strict });
    const replaced = (await client().updateUpstream({ upstream, inputGuardrails: off })).upstream;
    expect(replaced?.inputGuardrails).toEqual(off);
    expect(replaced?.outputGuardrails).toEqual(strict);
    const removed = (await client().updateUpstream({ upstream, inputGuardrails: {} })).upstream;
    expect(removed?.inputGuardrails).toBeUndefined();
    expect(removed?.outputGuardrails).toEqual(strict);
    expect((await client().getUpstream({ upstream })).upstream).toEqual(removed);
  });

  it('are refused with what JSON cannot hold, and with more than the schema lets through', async () => {
    const notANumber = create(CreateUpstreamRequestSchema, {
      ...demo,
      outputGuardrails: { additionalConfig: { pii: { score: Number.NaN } } },
    });
    expect(await refusalOf(client().createUpstream(notANumber))).toMatchObject({
      code: 'InvalidArgument',
      violations: [{ field: 'output_guardrails.additional_config.pii.score' }],
    });
    const update = client().createUpstream({ ...demo, inputGuardrails: { block: [''] } });
    expect((await refusalOf(update)).violations).toMatchObject([{ field: 'input_guardrails.block[0]' }]);
    expect((await client().listUpstreams({})).upstreams).toEqual([]);
    await client().createUpstream(demo);
    const changed = client().updateUpstream({
      upstream,
      inputGuardrails: create(GuardrailConfigSchema, { additionalConfig: { limit: Number.POSITIVE_INFINITY } }),
    });
    expect((await refusalOf(changed)).violations).toMatchObject([
      { field: 'input_guardrails.additional_config.limit' },
    ]);
  });
});
