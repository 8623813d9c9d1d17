import { hash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GatewayError } from '../../src/domain/errors.ts';
import { createApprovalPage } from '../../src/http/approval-page.ts';
import { openPage, type PageAnswer, type PageRequest } from './page-world.ts';

const ID = '0199aaaa-0000-7000-8000-000000000001';
const page = createApprovalPage();
const server = createServer((incoming, response) => {
  try {
    page({ request: incoming, response, requestId: 'request-1', path: incoming.url ?? '' });
  } catch (error) {
    response.writeHead(418).end(error instanceof GatewayError ? error.reason : String(error));
  }
});
let origin = '';
let html = '';

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  html = await (await request(`${origin}/approvals/${ID}`)).body.text();
});

afterAll(() => {
  server.close();
  server.closeAllConnections();
});

const pending = {
  id: ID,
  state: 'APPROVAL_STATE_PENDING',
  requester: { kind: 'PRINCIPAL_KIND_AGENT', id: 'agent-1', name: 'robot' },
  upstreamSlug: 'bank',
  method: 'tools/call',
  tool: 'pay',
  message: 'A human must approve this call.',
  ruleIds: ['payments/large', 'payments/abroad'],
  requirements: [{ policySlug: 'payments', requiredApprovals: 2, approverIds: ['ann', 'bob'] }],
  argumentsJson: '{"amount":12345678901234567890,"to":[{"iban":"DE,1:{2}"}],"none":{},"empty":[]}',
  argumentsDigest: 'sha256:ab',
  expireTime: '2026-09-21T10:00:00Z',
  createTime: '2026-09-21T09:00:00Z',
};

/** The page after a log-in with a key. */
async function loggedIn(approval: object, answer: (request: PageRequest) => PageAnswer | undefined = () => undefined) {
  const opened = openPage(html, `/approvals/${ID}`, (request) => answer(request) ?? { body: { approval } });
  opened.element('key').value = 'pc_key';
  opened.element('key-form').fire('submit');
  await settled();
  return opened;
}

/** Everything in the page's world answers before the event loop turns. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('the page of an approval', () => {
  it('may only run its own script, nor be held by another page, nor load anything', async () => {
    const { statusCode, headers } = await request(`${origin}/approvals/${ID}`);
    const policy = String(headers['content-security-policy']);
    const digest = (tag: string) =>
      `'sha256-${hash('sha256', new RegExp(`<${tag}>(.*)</${tag}>`, 's').exec(html)?.[1] ?? '', 'base64')}'`;
    expect(statusCode).toBe(200);
    expect(policy.split('; ')).toEqual([
      "default-src 'none'",
      `script-src ${digest('script')}`,
      `style-src ${digest('style')}`,
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
    ]);
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
      'x-request-id': 'request-1',
    });
    expect(html.match(/<script|<style/g)).toEqual(['<style', '<script']);
    expect(html).not.toMatch(/ (src|href|style|on[a-z]+)=/);
    expect(html).not.toMatch(/innerHTML|document\.write|eval\(|localStorage|sessionStorage|cookie/);
  });

  it('is the same for every id, and nothing else is there', async () => {
    const get = async (path: string, method: 'GET' | 'HEAD' | 'POST' = 'GET') => {
      const { statusCode, body } = await request(`${origin}${path}`, { method });
      return [statusCode, await body.text()];
    };
    expect(await get('/approvals/0199AAAA-0000-7000-8000-00000000000b')).toEqual([200, html]);
    expect(await get(`/approvals/${ID}`, 'HEAD')).toEqual([200, '']);
    for (const path of [
      '/approvals/',
      '/approvals/x',
      `/approvals/${ID}/`,
      `/approvals/${ID}%22`,
      `/approvals/../${ID}`,
    ]) {
      expect([path, ...(await get(path))]).toEqual([path, 418, 'not_found']);
    }
    expect(await get(`/approvals/${ID}`, 'POST')).toEqual([418, 'method_not_allowed']);
  });

  it('asks who reads it first, and forgets what was typed', async () => {
    const opened = openPage(html, `/approvals/${ID}`, ({ path }) =>
      path.endsWith('Login') ? { body: { accessToken: 'jwt' } } : { body: { approval: pending } },
    );
    expect(opened.element('login').hidden).toBe(false);
    expect(opened.element('approval').hidden).toBe(true);
    opened.element('username').value = 'ann';
    opened.element('password').value = 'secret';
    opened.element('password-form').fire('submit');
    await settled();
    expect(opened.requests.map(({ path, authorization, body }) => [path, authorization, body])).toEqual([
      ['/portcullis.v1.AuthService/Login', undefined, { username: 'ann', password: 'secret' }],
      ['/portcullis.v1.ApprovalService/GetApproval', 'Bearer jwt', { id: ID }],
    ]);
    expect(opened.requests[0]?.options).toMatchObject({ credentials: 'omit', redirect: 'error', method: 'POST' });
    expect(opened.element('password').value).toBe('');
    expect(opened.element('login').hidden).toBe(true);
    expect(opened.element('approval').hidden).toBe(false);
  });

  it('shows the call with its numbers as they were written', async () => {
    const opened = await loggedIn(pending);
    expect(opened.requests[0]?.authorization).toBe('Bearer pc_key');
    expect(opened.element('key').value).toBe('');
    expect(opened.fact('facts', 'State')).toBe('pending');
    expect(opened.fact('facts', 'Caller')).toBe('agent robot (agent-1)');
    expect(opened.fact('facts', 'Tool')).toBe('pay');
    expect(opened.fact('facts', 'Rules')).toBe('payments/large\npayments/abroad');
    expect(opened.fact('facts', 'Needs')).toBe('2 approvals by one of ann, bob (policy payments)');
    expect(opened.element('arguments').textContent).toBe(
      [
        '{',
        '  "amount": 12345678901234567890,',
        '  "to": [',
        '    {',
        '      "iban": "DE,1:{2}"',
        '    }',
        '  ],',
        '  "none": {},',
        '  "empty": []',
        '}',
      ].join('\n'),
    );
  });

  it('answers with the comment, once for each press, and shows what came of it', async () => {
    const vote = { approved: true, name: 'ann', comment: 'fine', createTime: '2026-09-21T09:30:00Z' };
    const opened = await loggedIn(pending, ({ path }) =>
      path.endsWith('ApproveCall')
        ? { body: { approval: { ...pending, state: 'APPROVAL_STATE_APPROVED', votes: [vote] } } }
        : undefined,
    );
    opened.element('comment').value = 'fine';
    opened.element('approve').fire('click');
    opened.element('approve').fire('click');
    expect(opened.element('approve').disabled).toBe(true);
    await settled();
    expect(opened.requests.slice(1).map(({ path, body }) => [path, body])).toEqual([
      ['/portcullis.v1.ApprovalService/ApproveCall', { id: ID, comment: 'fine' }],
    ]);
    expect(opened.fact('facts', 'State')).toBe('approved');
    expect(opened.fact('votes', 'Approved')).toContain('ann');
    expect(opened.element('answer').hidden).toBe(true);
    expect(opened.element('approve').disabled).toBe(false);
  });

  it('denies', async () => {
    const opened = await loggedIn(pending);
    opened.element('deny').fire('click');
    await settled();
    expect(opened.requests.at(-1)?.path).toBe('/portcullis.v1.ApprovalService/DenyCall');
  });

  it('shows hostile texts as texts, with everything visible that could mislead', async () => {
    const attack = '</pre><script>steal()</script><img src=x onerror=steal()>';
    const opened = await loggedIn({
      ...pending,
      tool: `pay\nState: approved\u202Eevil\u200B\u{E0041}\uD800`,
      message: attack,
      argumentsJson: JSON.stringify({ [attack]: `${attack}\u202E \u0000 🏰 ü\uFEFF` }),
      votes: [{ name: attack, comment: `${attack}\u2066` }],
    });
    expect(opened.fact('facts', 'Tool')).toBe('pay\\u000aState: approved\\u202eevil\\u200b\\udb40\\udc41\\ud800');
    expect(opened.fact('facts', 'Why')).toBe(attack);
    expect(opened.element('arguments').textContent).toBe(`{\n  "${attack}": "${attack}\\u202e \\u0000 🏰 ü\\ufeff"\n}`);
    expect(opened.fact('votes', 'Denied')).toBe(`${attack}, : ${attack}\\u2066`);
    expect(opened.element('problem').textContent).toBe('');
  });

  it('says when arguments are missing, masked or cut', async () => {
    const note = async (change: object) => {
      const opened = await loggedIn({ ...pending, ...change });
      const { hidden, textContent } = opened.element('arguments-note');
      return hidden ? '' : textContent;
    };
    expect(await note({})).toBe('');
    expect(await note({ argumentsRedacted: true })).toBe(
      'Some of the arguments are not shown: they are masked or were cut.',
    );
    expect(await note({ argumentsJson: undefined, argumentsDigest: undefined })).toBe('The call has no arguments.');
    expect(await note({ argumentsJson: undefined })).toBe(
      'The project does not keep arguments; the digest identifies them.',
    );
  });

  it('tells what went wrong in the words of the gateway, and asks again who reads it when that has lapsed', async () => {
    const opened = await loggedIn(pending, ({ path }) =>
      path.endsWith('ApproveCall')
        ? {
            status: 403,
            body: { code: 'permission_denied', message: 'Nobody may answer <b>for</b> an own call here.' },
          }
        : path.endsWith('DenyCall')
          ? { status: 401, body: { message: 'The token has expired.' } }
          : undefined,
    );
    opened.element('approve').fire('click');
    await settled();
    expect(opened.element('problem').textContent).toBe('Nobody may answer <b>for</b> an own call here.');
    expect(opened.element('approval').hidden).toBe(false);
    opened.element('deny').fire('click');
    await settled();
    expect(opened.element('problem').textContent).toBe('The token has expired.');
    expect(opened.element('login').hidden).toBe(false);
    expect(opened.element('approval').hidden).toBe(true);
  });

  it('tells that the gateway is not there', async () => {
    const opened = openPage(html, `/approvals/${ID}`, () => undefined);
    opened.element('key').value = 'pc_key';
    opened.element('key-form').fire('submit');
    await settled();
    expect(opened.element('problem').textContent).toBe('The gateway can not be reached. Try again.');
  });

  it('follows what others answer, and keeps what is being written', async () => {
    let state = 'APPROVAL_STATE_PENDING';
    const opened = await loggedIn(pending, () => ({ body: { approval: { ...pending, state } } }));
    opened.element('comment').value = 'half a sen';
    opened.tick();
    await settled();
    expect(opened.element('comment').value).toBe('half a sen');
    expect(opened.element('answer').hidden).toBe(false);
    state = 'APPROVAL_STATE_DENIED';
    opened.tick();
    await settled();
    expect(opened.fact('facts', 'State')).toBe('denied');
    expect(opened.element('answer').hidden).toBe(true);
    const { length } = opened.requests;
    opened.tick();
    await settled();
    expect(opened.requests).toHaveLength(length);
  });
});
