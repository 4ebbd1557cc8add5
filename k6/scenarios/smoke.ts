/** Calls every operation of the gateway once and compares the answers with its OpenAPI document. */
import { check, fail } from 'k6';
import { accounts, type Account } from '../lib/accounts.ts';
import { crmSteps } from '../lib/crm-samples.ts';
import { field, jsonOf, send, type Answer } from '../lib/gateway.ts';
import { operationsOf, undocumented, type OpenApi, type Operation } from '../lib/openapi.ts';
import { optionsFor } from '../lib/options.ts';
import { writeSummary, type SummaryData } from '../lib/report.ts';
import { Made, type Sample, type Step } from '../lib/samples.ts';

export const options = optionsFor('smoke', {
  smoke: { executor: 'shared-iterations', vus: 1, iterations: 1, maxDuration: '2m' },
});

type Operations = ReadonlyMap<string, Operation>;

/** A transfer between two accounts of one currency. */
interface Pair {
  readonly fromAccount: string;
  readonly toAccount: string;
  readonly amountMinor: string;
  readonly currency: string;
}

/** Requests for each operation, in this order. The test fails for an operation without one. */
function stepsFor(operations: Operations, account: string, pair: Pair, euroAccount: string): Step[] {
  const key = { 'idempotency-key': `smoke-${Date.now()}-${Math.random()}` };
  return [
    ['GET /api/v1/accounts', () => ({ path: '/api/v1/accounts?limit=5', status: 200 })],
    ['GET /api/v1/accounts/{id}', () => ({ path: `/api/v1/accounts/${account}`, status: 200 })],
    ['GET /api/v1/accounts/{id}/balance', () => ({ path: `/api/v1/accounts/${account}/balance`, status: 200 })],
    ['GET /api/v1/accounts/{id}/statement', () => ({ path: `/api/v1/accounts/${account}/statement?limit=5`, status: 200 })],
    ['GET /api/v1/ledger/check', () => ({ path: '/api/v1/ledger/check', status: 200 })],
    [
      'POST /api/v1/accounts',
      () => ({ path: '/api/v1/accounts', body: { currency: 'EUR', productCode: 'current' }, headers: key, status: 201 }),
    ],
    ['POST /api/v1/transfers', () => ({ path: '/api/v1/transfers', body: pair, headers: key, status: 201, keep: 'transfer' })],
    ['GET /api/v1/transfers/{id}', (made) => ({ path: `/api/v1/transfers/${made.id('transfer')}`, status: 200 })],
    ['POST /debug/seed', () => ({ path: '/debug/seed', body: { count: 1 }, status: 202, unless: ['seed_not_enabled'] })],
    ...(operations.has('POST /api/v1/customers') ? crmSteps(fundsOf(operations, euroAccount)) : []),
  ];
}

/** The account from which a customer is paid; none where the platform opens no accounts or makes no transfers. */
function fundsOf(operations: Operations, account: string): string | undefined {
  return operations.has('POST /api/v1/accounts') && operations.has('POST /api/v1/transfers') ? account : undefined;
}

/** Operations of components that every platform has. */
const REQUIRED = /^GET \/api\/v1\/(accounts|ledger)|^POST \/debug\/seed$/;

export default function smoke(): void {
  const listed = accounts();
  const pair = pairOf(listed);
  const operations = operationsOf(openApi());
  const steps = stepsFor(operations, listed[0]?.id ?? '', pair, listed.find((one) => canPay(one) && one.currency === 'EUR')?.id ?? '');
  const named = new Set(steps.map(([name]) => name));
  for (const name of operations.keys()) check(named, { [`${name}: has a sample request`]: (names) => names.has(name) });
  const made = new Made();
  const refused = new Set<string>();
  const refusal = operations.size > FAILURES ? [401, 429] : [401];
  for (const [name, sampleOf] of steps) {
    const operation = operations.get(name);
    if (!operation && !REQUIRED.test(name)) continue;
    check(name, { [`${name}: is documented`]: () => operation !== undefined });
    if (!operation) continue;
    const sample = sampleOf(made);
    call(name, operation, sample, made);
    if (!refused.has(name)) callWithoutCredential(name, operation, sample, refusal);
    refused.add(name);
  }
  send({ method: 'GET', path: '/docs', name: '/docs', authenticated: false, expect: { 'status is 200': ({ status }) => status === 200 } });
}

/** Earlier runs have opened accounts, which are empty. */
const canPay = ({ balanceMinor }: Account): boolean => Number(balanceMinor) > 0;

/** One minor unit from an account to another one of its currency. */
function pairOf(listed: readonly Account[]): Pair {
  const from = listed.find((one) => canPay(one) && listed.some(({ id, currency }) => id !== one.id && currency === one.currency));
  const to = listed.find(({ id, currency }) => id !== from?.id && currency === from?.currency);
  if (!from || !to) fail('no account with funds has another one of its currency');
  return { fromAccount: from.id, toAccount: to.id, amountMinor: '1', currency: from.currency };
}

function openApi(): OpenApi {
  const path = '/openapi.json';
  const expect = { 'status is 200': ({ status }: Answer) => status === 200 };
  const { answer, ok } = send({ method: 'GET', path, name: path, authenticated: false, expect });
  if (!ok) fail(`the gateway serves no OpenAPI document: it answered ${answer.status} ${answer.error}`);
  return jsonOf(answer) as OpenApi;
}

const requestOf = (name: string, { path, body, headers = {} }: Sample) => {
  const [method = '', route = ''] = name.split(' ');
  return { method, path, name: route, body, headers };
};

/** Whether an answer is as the operation documents it. */
const documentedAs =
  (name: string, operation: Operation) =>
  (answer: Answer): boolean =>
    reported(name, undocumentedOf(operation, answer)).length === 0;

function call(name: string, operation: Operation, sample: Sample, made: Made): void {
  const { status, unless = [], keep } = sample;
  const { answer } = send({
    ...requestOf(name, sample),
    expect: {
      [`status is ${status}`]: (given) => given.status === status || isSwitchedOff(given, unless),
      'answer is as documented': documentedAs(name, operation),
    },
  });
  if (keep !== undefined) keptOf(answer, keep, made);
}

/** Failed authentications that an address may have in a minute; further ones get 429. */
const FAILURES = 60;

/** @param allowed statuses that refuse the request */
function callWithoutCredential(name: string, operation: Operation, sample: Sample, allowed: readonly number[]): void {
  send({
    ...requestOf(name, sample),
    authenticated: false,
    expect: {
      'is refused without a credential': ({ status }) => allowed.includes(status),
      'rejection is as documented': documentedAs(name, operation),
    },
  });
}

function keptOf(answer: Answer, name: string, made: Made): void {
  const id = field(answer, 'id') ?? field(answer, 'transferId');
  if (typeof id === 'string') made.keep(name, id, answer.headers['Etag'] ?? '');
}

function undocumentedOf(operation: Operation, answer: Answer): string[] {
  return undocumented(operation, answer.status, answer.headers['Content-Type'] ?? '', jsonOf(answer));
}

function isSwitchedOff(answer: Answer, codes: readonly string[]): boolean {
  const body = jsonOf(answer) as { code?: string } | undefined;
  return body?.code !== undefined && codes.includes(body.code);
}

function reported(name: string, lines: string[]): string[] {
  for (const line of lines) console.error(`${name}: ${line}`);
  return lines;
}

export function handleSummary(data: SummaryData): Record<string, string> {
  return writeSummary('smoke', data);
}
