/** The API against its contract: whatever a client sends, the answer is one that the route documents, and never a failure of the service. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { random } from '../ledger/testing/random.ts';
import type { Route } from '../shared/contracts/crm/route.ts';
import { ROUTES } from '../shared/contracts/crm/routes.ts';
import { Arbitrary } from './testing/arbitrary.ts';
import type { JsonSchema } from './testing/arbitrary.ts';
import { CRM_KEY, CrmPlatform } from './testing/platform.ts';

const LIMIT = { timeout: 240_000 };
const STEPS = Number(process.env['CRM_CONFORMANCE_STEPS'] ?? 2_000);
const SEED = Number(process.env['CRM_CONFORMANCE_SEED'] ?? Date.now() % 100_000);

let platform: CrmPlatform;
let base: string;

before(async () => {
  platform = await CrmPlatform.start();
  base = (await platform.crm()).client.base;
}, LIMIT);
after(() => platform?.stop(), LIMIT);

const jsonSchema = (schema: z.ZodType | undefined): JsonSchema =>
  schema ? (z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema) : {};
const SCHEMAS = new Map(
  ROUTES.map(({ name, schema }) => [name, { query: jsonSchema(schema.querystring), body: jsonSchema(schema.body) }] as const),
);

interface Known {
  /** By family. */
  ids: Map<string, string[]>;
  /** By id. */
  etags: Map<string, string>;
  keys: string[];
}

function queryOf(arbitrary: Arbitrary, schema: JsonSchema): string {
  const query = arbitrary.object(schema, 60);
  const entries = Object.entries(query).map(([name, value]): [string, string] => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  return entries.length === 0 ? '' : `?${new URLSearchParams(entries).toString()}`;
}

function headersOf(arbitrary: Arbitrary, { method }: Route, id: string, known: Known): Record<string, string> {
  const etag = arbitrary.oneIn(3) ? arbitrary.pick(['"1"', '"999999"', '1', 'W/"1"']) : (known.etags.get(id) ?? '"1"');
  const key = arbitrary.oneIn(6) && known.keys.length > 0 ? arbitrary.pick(known.keys) : randomUUID();
  known.keys.push(key);
  const own: Record<string, string> = {
    GET: { 'if-none-match': arbitrary.pick([etag, '*', 'x']) },
    POST: { 'idempotency-key': arbitrary.oneIn(30) ? 'a key' : key },
    PATCH: { 'if-match': etag },
    DELETE: { 'if-match': etag },
  }[method];
  return { authorization: `Bearer ${CRM_KEY}`, ...(arbitrary.oneIn(20) ? {} : own) };
}

const familyOf = ({ url }: Route): string => url.split('/')[3] ?? '';

/** One random request. @returns what was sent, for a message */
function request(arbitrary: Arbitrary, route: Route, known: Known): { url: string; init: RequestInit; id: string } {
  const schemas = SCHEMAS.get(route.name);
  const id = arbitrary.oneIn(30) ? arbitrary.pick(['x', '%00', '1', ' ']) : arbitrary.id(familyOf(route));
  const url = `${base}${route.url.replace(':id', encodeURIComponent(id))}${queryOf(arbitrary, schemas?.query ?? {})}`;
  const headers = headersOf(arbitrary, route, id, known);
  if (route.schema.body === undefined) return { url, init: { method: route.method, headers }, id };
  const body = arbitrary.oneIn(50) ? '{"a":' : JSON.stringify(arbitrary.value(schemas?.body ?? {}));
  return { url, init: { method: route.method, headers: { ...headers, 'content-type': 'application/json' }, body }, id };
}

type Documented = Record<string, z.ZodType | { content: Record<string, { schema: z.ZodType }> }>;

/** @throws AssertionError unless the answer is one that the route documents */
function check(route: Route, status: number, type: string, text: string): void {
  const documented = (route.schema.response as Documented)[String(status)];
  assert.ok(documented, `status ${status} is not documented: ${text}`);
  if (status === 204 || status === 304) return assert.equal(text, '');
  if (documented instanceof z.ZodType) {
    if (!type.startsWith('application/json')) return;
    const parsed = documented.safeParse(JSON.parse(text));
    return assert.ok(parsed.success, `${parsed.error?.message}: ${text}`);
  }
  // A success that is no JSON has a content type of its own.
  if (status < 400) return assert.ok(Object.keys(documented.content).includes(type.split(';')[0] ?? ''), type);
  assert.match(type, /^application\/problem\+json/);
  const problem = documented.content['application/problem+json']?.schema.safeParse(JSON.parse(text));
  assert.ok(problem?.success, `${problem?.error?.message}: ${text}`);
  const code = (JSON.parse(text) as { code: string }).code;
  assert.ok(status < 500 || /^(orchestrator|accounts|ledger|payments)_/.test(code), `a failure: ${text}`);
}

test(`every answer to ${STEPS} random requests is documented (seed ${SEED})`, LIMIT, async (context) => {
  const known: Known = { ids: new Map(), etags: new Map(), keys: [] };
  const arbitrary = new Arbitrary(random(SEED), known.ids);
  const creates = ROUTES.filter(({ method, schema }) => method === 'POST' && schema.body !== undefined && schema.headers !== undefined);
  const lasting = ROUTES.filter(({ name }) => name !== 'eraseCustomer');
  const statuses = new Map<string, number>();
  for (let step = 0; step < STEPS; step += 1) {
    // Creates first, since the others need resources; and an erasure now and then, since it ends what a customer can have.
    const route = arbitrary.pick(step < 200 || arbitrary.oneIn(4) ? creates : arbitrary.oneIn(10) ? ROUTES : lasting);
    const { url, init, id } = request(arbitrary, route, known);
    const answer = await fetch(url, init);
    const text = await answer.text();
    try {
      check(route, answer.status, answer.headers.get('content-type') ?? '', text);
    } catch (error) {
      throw new Error(`step ${step}, seed ${SEED}: ${route.name}: ${JSON.stringify({ url, init })}`, { cause: error });
    }
    const etag = answer.headers.get('etag');
    const made = answer.status === 201 ? (JSON.parse(text) as { id: string }).id : undefined;
    const family = route.url.endsWith('/addresses') ? 'addresses' : familyOf(route);
    if (made !== undefined && !known.etags.has(made)) known.ids.set(family, [...(known.ids.get(family) ?? []), made]);
    if (etag !== null) known.etags.set(made ?? id, etag);
    const kind = `${route.name} ${answer.status}`;
    statuses.set(kind, (statuses.get(kind) ?? 0) + 1);
  }
  const succeeded = new Set([...statuses.keys()].filter((kind) => / (20[014]|304)$/.test(kind)).map((kind) => kind.split(' ')[0]));
  context.diagnostic(JSON.stringify(Object.fromEntries([...statuses].toSorted(([a], [b]) => (a < b ? -1 : 1)))));
  const standard = ROUTES.filter(({ name }) =>
    /^(?!.*P(age|df)$)(list|get|create)(Customer|Product|Subscription|Service|Asset|Order|Invoice|Payment)/.test(name),
  );
  assert.deepEqual(
    standard.filter(({ name }) => !succeeded.has(name)).map(({ name }) => name),
    [],
    'requests that succeed are among them',
  );
  for (const verb of ['change', 'delete'])
    assert.ok(
      [...succeeded].some((name) => name?.startsWith(verb)),
      verb,
    );
});
