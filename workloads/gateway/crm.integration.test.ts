/** The routes of crm at a real gateway in front of a real crm service. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { TestPlatform } from '../shared/testing/platform.ts';
import { freePort, type Workload } from '../shared/testing/workload.ts';

const LIMIT = { timeout: 120_000 };
const KEY = 'the-key-of-the-platform-for-this-test';
const LEDGER_KEY = 'the-key-of-the-ledger-for-this-test-0';
const CRM_KEY = 'the-key-of-the-crm-service-for-a-test';

let platform: TestPlatform;
let crm: Workload;
let gateway: Workload;
let url: string;
let crmUrl: string;

before(async () => {
  platform = await TestPlatform.start(1);
  const [crmPort, gatewayPort] = [await freePort(), await freePort()];
  crm = await platform.run('crm', { ...platform.env('crm'), PORT: String(crmPort), API_KEY: CRM_KEY });
  [url, crmUrl] = [`http://127.0.0.1:${gatewayPort}`, `http://127.0.0.1:${crmPort}`];
  gateway = await platform.run('gateway', {
    ...platform.env('ledger'),
    PORT: String(gatewayPort),
    API_KEY: KEY,
    LEDGER_URL: 'http://127.0.0.1:1',
    LEDGER_API_KEY: LEDGER_KEY,
    CRM_URL: crmUrl,
    CRM_API_KEY: CRM_KEY,
  });
  await Promise.all([crm.ready(), gateway.ready()]);
}, LIMIT);

after(() => platform?.stop(), LIMIT);

interface Sent {
  body?: unknown;
  headers?: Record<string, string>;
}

/** An answer of the gateway; the body is that of JSON, or empty. */
async function send(method: string, path: string, { body, headers = {} }: Sent = {}) {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${KEY}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const content = await response.text();
  return {
    status: response.status,
    etag: response.headers.get('etag'),
    headers: response.headers,
    body: content === '' ? {} : (JSON.parse(content) as Record<string, unknown>),
  };
}

const JANE = { name: 'Jane Example', email: 'jane@example.com' };

test('a customer is created, read, changed and deleted through the gateway', LIMIT, async () => {
  const created = await send('POST', '/api/v1/customers', { body: JANE, headers: { 'idempotency-key': 'one' } });
  const path = String(created.headers.get('location'));
  assert.deepEqual([created.status, created.etag, path], [201, '"1"', `/api/v1/customers/${String(created.body['id'])}`]);
  const read = await send('GET', `${path}?fields=name`);
  assert.deepEqual([read.status, read.etag, read.body], [200, '"1"', { id: created.body['id'], name: 'Jane Example' }]);
  const unchanged = await send('GET', path, { headers: { 'if-none-match': '"1"' } });
  assert.deepEqual([unchanged.status, unchanged.etag, unchanged.body], [304, '"1"', {}]);
  const unconditional = await send('PATCH', path, { body: { name: 'B' } });
  assert.deepEqual([unconditional.status, unconditional.body['code']], [428, 'precondition_required']);
  const changed = await send('PATCH', path, { body: { name: 'B' }, headers: { 'if-match': '"1"' } });
  assert.deepEqual([changed.status, changed.etag, changed.body['name']], [200, '"2"', 'B']);
  const late = await send('PATCH', path, { body: { name: 'C' }, headers: { 'if-match': '"1"' } });
  assert.deepEqual([late.status, late.etag, late.body['code']], [412, '"2"', 'precondition_failed']);
  const illegal = await send('PATCH', `${path}/status`, { body: { status: 'suspended' }, headers: { 'if-match': '"2"' } });
  assert.deepEqual([illegal.status, illegal.body['code'], Array.isArray(illegal.body['allowed'])], [409, 'illegal_transition', true]);
  const deleted = await send('DELETE', path, { headers: { 'if-match': '"2"' } });
  assert.deepEqual([deleted.status, deleted.body], [204, {}]);
  assert.equal((await send('GET', path)).status, 404);
});

test('a repeated request gets the first answer, and crm knows whose it is', LIMIT, async () => {
  const request = { body: JANE, headers: { 'idempotency-key': 'two' } };
  const [first, again] = [await send('POST', '/api/v1/customers', request), await send('POST', '/api/v1/customers', request)];
  assert.deepEqual([again.status, again.body, again.headers.get('idempotency-replayed')], [201, first.body, 'true']);
  const other = await send('POST', '/api/v1/customers', { ...request, body: { name: 'Other' } });
  assert.deepEqual([other.status, other.body['code']], [422, 'idempotency_key_reused']);
  const database = new Client({ connectionString: platform.services.postgres.url('crm') });
  await database.connect();
  const { rows } = await database.query('SELECT client FROM audit WHERE entity_id = $1', [first.body['id']]);
  await database.end();
  assert.deepEqual(rows, [{ client: 'key:platform' }]);
});

/** Creates a resource. @returns its id */
async function create(family: string, body: object): Promise<string> {
  const { status, body: made } = await send('POST', `/api/v1/${family}`, { body, headers: { 'idempotency-key': randomUUID() } });
  assert.equal(status, 201, JSON.stringify(made));
  return String(made['id']);
}

test('an invoice is a page and a PDF', LIMIT, async () => {
  const customerId = await create('customers', JANE);
  const id = await create('invoices', { customerId, periodStart: '2026-01-01', periodEnd: '2026-01-31' });
  const authorization = `Bearer ${KEY}`;
  const page = await fetch(`${url}/api/v1/invoices/${id}/page`, { headers: { authorization } });
  assert.deepEqual([page.status, page.headers.get('content-type')], [200, 'text/html; charset=utf-8']);
  assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'/);
  assert.match(await page.text(), /Jane Example[^]*<\/html>/);
  const pdf = await fetch(`${url}/api/v1/invoices/${id}/pdf`, { headers: { authorization } });
  assert.deepEqual([pdf.status, pdf.headers.get('content-type')], [200, 'application/pdf']);
  const content = Buffer.from(await pdf.arrayBuffer()).toString('latin1');
  assert.match(content, /^%PDF-[^]*%%EOF\s*$/);
});

test('what crm says about payments is the answer, and does not open the circuit', LIMIT, async () => {
  const id = await create('payments', { customerId: await create('customers', JANE), amountMinor: '100' });
  for (let round = 0; round < 8; round += 1) {
    const { status, body } = await send('POST', `/api/v1/payments/${id}/process`);
    assert.deepEqual([status, body['code']], [503, 'payments_not_configured']);
  }
});

test('requests are counted by the route that the objectives of the APIs read', LIMIT, async () => {
  assert.ok((await gateway.metric('http_requests_total', 'route="/api/v1/customers/{id}"')) > 0);
  assert.ok((await gateway.metric('http_request_duration_seconds_count', 'route="/api/v1/customers"')) > 0);
});

type Paths = Record<string, Record<string, { responses: Record<string, { description: string }> }>>;

async function pathsOf(base: string): Promise<Paths> {
  return ((await (await fetch(`${base}/openapi.json`)).json()) as { paths: Paths }).paths;
}

test("the OpenAPI document of the gateway has crm's own, and says when crm is away", LIMIT, async () => {
  const [own, public_] = await Promise.all([pathsOf(crmUrl), pathsOf(url)]);
  assert.ok(Object.keys(own).length > 5);
  for (const [path, methods] of Object.entries(own)) {
    for (const [method, { responses, ...operation }] of Object.entries(methods)) {
      const { responses: answers, ...forwarded } = public_[path]?.[method] ?? { responses: {} };
      const { 503: own503, ...others } = responses;
      const { 503: public503, ...forwardedOthers } = answers;
      assert.deepEqual(forwarded, operation, `${method} ${path}`);
      assert.deepEqual(forwardedOthers, others, `${method} ${path}`);
      assert.ok(public503?.description.startsWith(own503?.description ?? '?'));
      assert.match(public503?.description ?? '', /`crm_unavailable`/);
    }
  }
});

test('without crm its routes answer 503', LIMIT, async () => {
  await crm.stop();
  const answer = await send('GET', '/api/v1/customers');
  assert.deepEqual([answer.status, answer.body['code'], answer.headers.get('retry-after')], [503, 'crm_unavailable', '1']);
});
