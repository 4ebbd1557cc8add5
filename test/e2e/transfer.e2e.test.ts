/** One transfer on a cluster, from HTTP to the read model: one trace over all services, found by the id of the transfer, and their log lines; and a payment of an invoice. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { accountOf, getJson, pay, receivedOn, type Invoice } from '../../local/src/demo/orders.ts';
import { until } from '../../local/src/demo/platform.ts';
import { TRACE_STORES, type TraceStore } from '../../local/src/demo/trace-stores.ts';
import type { Span } from '../../local/src/demo/trace.ts';
import {
  accountPair,
  balanceAfter,
  makeTransfer,
  servicesMissing,
  spansByService,
  tracesOfTransfer,
  TRANSFER_PATH,
  wholeTrace,
  type TransferAnswer,
  type TransferRequest,
} from '../../local/src/demo/transfers.ts';
import { newOrder, PRICE_WITH_TAX, setCrm } from './crm.ts';
import { Environment, MINUTE, NAMESPACE, PLATFORM } from './environment.ts';
import { Stores } from './stores.ts';

const LEAST_SPANS = 10;
const AMOUNT = 1250n;
/** Account that payments go to. */
const RECEIPTS = 'crm-receipts-EUR';

let env: Environment;
let stores: Stores;
let request: TransferRequest;
const key = randomUUID();
let transfer: TransferAnswer;
/** Balances before the transfer. */
let balances: { from: bigint; to: bigint };
let url: string;
let store: TraceStore;

/** The ledger's own balance of an account. */
async function balanceOf(accountId: string): Promise<bigint> {
  const response = await env.gateway.send(`/api/v1/accounts/${accountId}/balance`);
  assert.equal(response.status, 200, `balance of ${accountId}`);
  return BigInt(((await response.json()) as { balanceMinor: string }).balanceMinor);
}

before(
  async () => {
    env = await Environment.start();
    stores = await Stores.open(env);
    const found = TRACE_STORES.find(({ component }) => stores.has(component));
    assert.ok(found, 'the platform keeps traces');
    store = found;
    url = await env.target.forward(NAMESPACE, `${PLATFORM}-${store.component}`, store.port);
    const { from, to, currency } = await accountPair(env.gateway);
    request = { fromAccount: from, toAccount: to, amountMinor: String(AMOUNT), currency };
    balances = { from: await balanceOf(from), to: await balanceOf(to) };
    transfer = await until('a transfer', MINUTE, () => makeTransfer(env.gateway, request, key));
  },
  { timeout: 20 * MINUTE },
);

after(() => env?.end(), { timeout: 2 * MINUTE });

test('the read model has the transfer on both accounts', { timeout: MINUTE }, async () => {
  const { transactionId } = transfer.body;
  assert.equal(transfer.status, 201);
  const [from, to] = await Promise.all([
    balanceAfter(env.gateway, request.fromAccount, transactionId),
    balanceAfter(env.gateway, request.toAccount, transactionId),
  ]);
  assert.deepEqual([from.source, to.source], ['read-model', 'read-model']);
  assert.deepEqual([BigInt(from.balanceMinor), BigInt(to.balanceMinor)], [balances.from - AMOUNT, balances.to + AMOUNT]);
});

test('the same request with the same key is the same transfer', { timeout: MINUTE }, async () => {
  const again = await makeTransfer(env.gateway, request, key);
  assert.ok(again.replayed, 'the answer says that it is repeated');
  assert.deepEqual(again.body, transfer.body);
  const { balanceMinor } = await balanceAfter(env.gateway, request.fromAccount, transfer.body.transactionId);
  assert.equal(BigInt(balanceMinor), balances.from - AMOUNT, 'nothing is transferred twice');
});

/** Each span but the first has a parent in the trace, and the first one is the gateway's. */
function assertOneTree(spans: readonly Span[]): void {
  const byId = new Map(spans.map((span) => [span.id, span]));
  const roots = spans.filter(({ parent }) => parent === undefined || !byId.has(parent));
  // Its parent is the caller, who has no spans in the store.
  assert.deepEqual(
    roots.map(({ service }) => service),
    ['gateway'],
  );
  const callers = (service: string) =>
    new Set(spans.flatMap((span) => (span.service === service && span.parent ? [byId.get(span.parent)?.service] : [])));
  for (const [index, service] of TRANSFER_PATH.entries()) {
    const caller = TRANSFER_PATH[index - 1];
    if (caller !== undefined) assert.ok(callers(service).has(caller), `a span of ${service} has a parent of ${caller}`);
  }
}

test('the trace of the transfer is found by its id, over all services', { timeout: 2 * MINUTE }, async (t) => {
  const { transferId } = transfer.body;
  const { traceId } = transfer;
  // The repeated request has a trace of its own.
  await until('the trace of the request to be found', MINUTE, async () =>
    (await tracesOfTransfer(store, url, transferId)).includes(traceId),
  );
  let seen: string[] = [...TRANSFER_PATH];
  const spans = await until('spans of every service', MINUTE, async () => {
    seen = servicesMissing(await stores.trace(store.component, traceId));
    return seen.length === 0 ? wholeTrace(store, url, traceId) : undefined;
  }).catch((error: unknown) => {
    throw new Error(`no span of ${seen.join(', ')}`, { cause: error });
  });
  t.diagnostic(`${spans.length} spans in ${store.title}: ${spansByService(spans)}`);
  assert.ok(spans.length >= LEAST_SPANS, `${spans.length} spans`);
  assertOneTree(spans);
  assert.deepEqual(
    spans.filter(({ error }) => error !== undefined).map(({ service, name }) => `${service}: ${name}`),
    [],
    'no span failed',
  );
});

/** Services whose log lines about a request carry its trace id. */
const LOGGING = ['gateway', 'orchestrator', 'ledger', 'read-model'];

test('the logs of the services carry the id of the trace', { timeout: 2 * MINUTE }, async () => {
  assert.ok(stores.has('loki'), 'the platform keeps logs');
  let missing = LOGGING;
  await until('log lines of every service', MINUTE, async () => {
    const lines = await stores.linesOf(transfer.traceId);
    const found = new Set(lines.map(({ labels }) => labels['service_name']));
    missing = LOGGING.filter((service) => !found.has(service));
    return missing.length === 0;
  }).catch(() => undefined);
  assert.deepEqual(missing, [], 'services without a log line of the trace');
});

test('a customer orders, is invoiced and pays, and the ledger has the payment', { timeout: 8 * MINUTE }, async () => {
  await setCrm(env, true);
  try {
    const receiptsBefore = await receivedOn(env.gateway, RECEIPTS);
    const ordered = await newOrder(env);
    const { customerId, invoice } = ordered;
    assert.equal(invoice.totalMinor, PRICE_WITH_TAX);
    const { status, transferId } = await pay(env.gateway, ordered);
    assert.equal(status, 'done');

    const paid = await getJson<Invoice>(env.gateway, `invoices/${invoice.id}`);
    assert.equal(paid.status, 'settled');
    const made = await getJson<{ transactionId: string }>(env.gateway, `transfers/${transferId}`);
    const received = await balanceAfter(env.gateway, RECEIPTS, made.transactionId);
    const customers = await balanceAfter(env.gateway, accountOf(customerId), made.transactionId);
    assert.deepEqual([BigInt(received.balanceMinor) - receiptsBefore, customers.balanceMinor], [BigInt(invoice.totalMinor), '0']);
    const pdf = await env.gateway.send(`/api/v1/invoices/${invoice.id}/pdf`);
    assert.deepEqual([pdf.headers.get('content-type'), (await pdf.text()).slice(0, 5)], ['application/pdf', '%PDF-']);
  } finally {
    // Other files go on with the platform of the demo.
    await setCrm(env, false);
  }
});
