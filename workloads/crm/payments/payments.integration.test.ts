/** Payments as transfers on a real ledger, while processes are killed and answers get lost. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { waitFor } from '../../shared/testing/wait.ts';
import { END_STATEMENT, PaymentPlatform, TRANSFER_POST } from '../testing/payments.ts';
import { receiptsAccount } from './transfers.ts';

const LIMIT = { timeout: 120_000 };
const FUNDS = 10_000;
let platform: PaymentPlatform;

before(async () => {
  platform = await PaymentPlatform.start();
}, LIMIT);
after(() => platform?.stop(), LIMIT);

/** An issued invoice of a customer for one product that costs an amount of minor units without tax. */
async function invoiceOf(customerId: string, amountMinor: string): Promise<string> {
  const { api } = platform;
  const made = async (path: string, body: object) => {
    const answer = await api.post(path, body);
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return String(answer.body['id']);
  };
  const product = { code: `code-${customerId}`, name: 'Router', category: 'device', status: 'active', currency: 'EUR' };
  const productId = await made('products', { ...product, recurringMinor: '0', oneTimeMinor: amountMinor, taxBasisPoints: 0 });
  const orderId = await made('orders', { customerId });
  await made(`orders/${orderId}/items`, { productId });
  const today = new Date().toISOString().slice(0, 10);
  const invoiceId = await made('invoices', { customerId, periodStart: today, periodEnd: today });
  const steps = [`orders/${orderId}/submit`, `orders/${orderId}/fulfil`, `invoices/${invoiceId}/generate`, `invoices/${invoiceId}/issue`];
  for (const step of steps) {
    const answer = await (step.endsWith('/fulfil') ? api.post(step, {}) : api.send('POST', step));
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
  }
  return invoiceId;
}

const codeOf = ({ status, body }: { status: number; body: Record<string, unknown> }): unknown[] => [status, body['code']];

test('a payment is created, processed and read: the amount moves to the receipts, and the invoice is settled', LIMIT, async () => {
  const customer = await platform.customer(FUNDS);
  const invoice = await invoiceOf(customer, '4990');
  const earlier = await platform.receipts();
  const created = await platform.api.post('payments', { customerId: customer, invoiceId: invoice, amountMinor: '4990' });
  assert.deepEqual([created.status, created.body['status'], created.body['currency']], [201, 'pendingAuthorization', 'EUR']);
  const id = String(created.body['id']);
  const processed = await platform.act(id, 'process');
  assert.deepEqual(
    [processed.status, processed.body['status'], processed.body['errorType']],
    [200, 'done', null],
    JSON.stringify(processed.body),
  );
  const read = await platform.api.get(`payments/${id}`);
  assert.deepEqual(read.body, processed.body);
  assert.deepEqual(await platform.customersPostings(customer), [FUNDS, -4990]);
  assert.equal((await platform.receipts()) - earlier, 4990);
  const settled = (await platform.api.get(`invoices/${invoice}`)).body;
  assert.deepEqual([settled['status'], settled['paidMinor']], ['settled', '4990']);
  assert.equal((await platform.api.get(`customers/${customer}`)).body['ledgerAccount'], `crm-${customer}`);
  const again = await platform.act(id, 'process');
  assert.deepEqual([...codeOf(again), again.body['allowed']], [409, 'illegal_transition', ['refunding']]);
});

test('an invoice can be paid in parts, and not more than it', LIMIT, async () => {
  const customer = await platform.customer(FUNDS);
  const invoiceId = await invoiceOf(customer, '1000');
  const tooMuch = await platform.api.post('payments', { customerId: customer, invoiceId, amountMinor: '1001' });
  assert.deepEqual(codeOf(tooMuch), [409, 'invoice_not_payable']);
  const parts = await Promise.all([400, 600, 700].map((amount) => platform.payment(customer, amount, { invoiceId })));
  const [first, second, third] = parts as [string, string, string];
  assert.equal((await platform.act(first, 'process')).body['status'], 'done');
  const invoice = async () => {
    const { body } = await platform.api.get(`invoices/${invoiceId}`);
    return [body['status'], body['paidMinor']];
  };
  assert.deepEqual(await invoice(), ['partiallyPaid', '400']);
  assert.deepEqual(codeOf(await platform.act(third, 'process')), [409, 'invoice_not_payable'], '400 and 700 are more than 1000');
  const voided = await platform.api.send('POST', `invoices/${invoiceId}/void`);
  assert.deepEqual(codeOf(voided), [409, 'illegal_transition']);
  assert.equal((await platform.act(second, 'process')).body['status'], 'done');
  assert.deepEqual(await invoice(), ['settled', '1000']);
  assert.equal((await platform.act(second, 'refund')).body['status'], 'refunded');
  assert.deepEqual(await invoice(), ['partiallyPaid', '400']);
});

test('of two payments of a whole invoice at the same time one is processed', LIMIT, async () => {
  const customer = await platform.customer(FUNDS);
  const invoiceId = await invoiceOf(customer, '1000');
  const payments = await Promise.all([1, 2].map(() => platform.payment(customer, 1000, { invoiceId })));
  const answers = await Promise.all(payments.map((id) => platform.act(id, 'process')));
  assert.deepEqual(
    answers.map(({ status }) => status).toSorted((one, other) => one - other),
    [200, 409],
  );
  assert.deepEqual(await platform.customersPostings(customer), [FUNDS, -1000]);
});

test('a payment without funds fails with the reason of the ledger', LIMIT, async () => {
  const customer = await platform.customer();
  const id = await platform.payment(customer, 1);
  const { status, body } = await platform.act(id, 'process');
  assert.deepEqual([status, body['status'], body['errorType'], body['transferId']], [200, 'failed', 'insufficient_funds', null]);
  assert.deepEqual(await platform.customersPostings(customer), []);
  const again = await platform.act(id, 'process');
  assert.deepEqual([...codeOf(again), again.body['allowed']], [409, 'illegal_transition', []]);
  assert.deepEqual(codeOf(await platform.api.post('payments', { customerId: customer, amountMinor: '1', currency: 'USD' })), [
    422,
    'currency_mismatch',
  ]);
});

test('20 parallel requests to process a payment make one transfer', LIMIT, async () => {
  const customer = await platform.customer(FUNDS);
  const id = await platform.payment(customer, 10);
  const answers = await Promise.all(Array.from({ length: 20 }, () => platform.act(id, 'process')));
  for (const { status, body } of answers) assert.ok([200, 202, 409].includes(status), `${status} ${JSON.stringify(body)}`);
  await platform.reaches(id, 'done');
  assert.deepEqual(await platform.customersPostings(customer), [FUNDS, -10]);
});

test('a process that is killed before it calls the orchestrator: the payment is resumed', LIMIT, async () => {
  const customer = await platform.customer(FUNDS);
  const id = await platform.payment(customer, 20);
  const held = platform.toOrchestrator.hold(TRANSFER_POST);
  const request = platform.act(id, 'process').catch(() => undefined);
  await held;
  await platform.killCrm();
  await request;
  assert.deepEqual(await platform.customersPostings(customer), [FUNDS], 'the orchestrator has not been called');
  await platform.startCrm();
  await platform.reaches(id, 'done');
  assert.deepEqual(await platform.customersPostings(customer), [FUNDS, -20]);
  assert.equal(await platform.process.metric('payment_transfers_resumed_total'), 1);
});

test('a process that is killed after the transfer and before its own commit: there is one transfer', LIMIT, async () => {
  const customer = await platform.customer(FUNDS);
  const invoiceId = await invoiceOf(customer, '30');
  const id = await platform.payment(customer, 30, { invoiceId });
  const held = platform.toDatabase.hold(END_STATEMENT);
  const request = platform.act(id, 'process').catch(() => undefined);
  await held;
  await platform.killCrm();
  await request;
  assert.deepEqual(await platform.customersPostings(customer), [FUNDS, -30], 'the transfer is made');
  await platform.startCrm();
  assert.equal(await platform.status(id), 'authorized');
  await platform.reaches(id, 'done');
  assert.deepEqual(await platform.customersPostings(customer), [FUNDS, -30]);
  const invoice = (await platform.api.get(`invoices/${invoiceId}`)).body;
  assert.deepEqual([invoice['status'], invoice['paidMinor']], ['settled', '30']);
});

test('an answer of the orchestrator that is lost: the request ends with the transfer that was made', LIMIT, async () => {
  const customer = await platform.customer(FUNDS);
  const id = await platform.payment(customer, 40);
  const lost = platform.toOrchestrator.dropAnswers(TRANSFER_POST);
  const { status, body } = await platform.act(id, 'process');
  await lost;
  assert.deepEqual([status, body['status']], [200, 'done']);
  assert.deepEqual(await platform.customersPostings(customer), [FUNDS, -40]);
});

test('while the ledger is away a payment is accepted, and it is settled when the ledger returns', LIMIT, async () => {
  const customer = await platform.customer(FUNDS);
  const id = await platform.payment(customer, 50);
  await platform.kill('ledger');
  const { status, body } = await platform.act(id, 'process');
  assert.deepEqual([status, body['status']], [202, 'authorized'], JSON.stringify(body));
  const again = await platform.act(id, 'process');
  assert.deepEqual([again.status, again.body['status']], [202, 'authorized'], 'a repeated request');
  await platform.startService('ledger');
  await platform.reaches(id, 'done');
  assert.deepEqual(await platform.customersPostings(customer), [FUNDS, -50]);
});

test('a refund returns the amount once, also when the process is killed before its commit', LIMIT, async () => {
  const customer = await platform.customer(FUNDS);
  const invoiceId = await invoiceOf(customer, '60');
  const id = await platform.payment(customer, 60, { invoiceId });
  const early = await platform.act(id, 'refund');
  assert.deepEqual([...codeOf(early), early.body['allowed']], [409, 'illegal_transition', ['authorized']]);
  await platform.act(id, 'process');
  const held = platform.toDatabase.hold(END_STATEMENT);
  const request = platform.act(id, 'refund').catch(() => undefined);
  await held;
  await platform.killCrm();
  await request;
  await platform.startCrm();
  await platform.reaches(id, 'refunded');
  assert.deepEqual(await platform.customersPostings(customer), [FUNDS, -60, 60]);
  const invoice = (await platform.api.get(`invoices/${invoiceId}`)).body;
  assert.deepEqual([invoice['status'], invoice['paidMinor']], ['sent', '0'], 'the invoice is open again');
  const again = await platform.act(id, 'refund');
  assert.deepEqual([...codeOf(again), again.body['allowed']], [409, 'illegal_transition', []]);
});

test('a refund that the receipts do not cover leaves the payment done, and can be repeated', LIMIT, async () => {
  const customer = await platform.customer(FUNDS);
  const id = await platform.payment(customer, 70);
  await platform.act(id, 'process');
  const receipts = await platform.receipts();
  await platform.move(receiptsAccount('EUR'), 'bank', receipts);
  const refused = await platform.act(id, 'refund');
  assert.deepEqual([refused.status, refused.body['status'], refused.body['errorType']], [200, 'done', 'insufficient_funds']);
  await platform.move('bank', receiptsAccount('EUR'), receipts);
  const refunded = await platform.act(id, 'refund');
  assert.deepEqual([refunded.status, refunded.body['status'], refunded.body['errorType']], [200, 'refunded', null]);
  assert.deepEqual(await platform.customersPostings(customer), [FUNDS, -70, 70]);
});

test('a payment in progress is neither deleted nor voided with its invoice', LIMIT, async () => {
  const customer = await platform.customer(FUNDS);
  const invoiceId = await invoiceOf(customer, '80');
  const id = await platform.payment(customer, 80, { invoiceId });
  await platform.kill('orchestrator');
  const { status, etag } = await platform.act(id, 'process');
  assert.equal(status, 202);
  assert.deepEqual(codeOf(await platform.api.remove(`payments/${id}`, etag)), [409, 'resource_in_use']);
  assert.deepEqual(codeOf(await platform.api.send('POST', `invoices/${invoiceId}/void`)), [409, 'resource_in_use']);
  await platform.startService('orchestrator');
  await platform.reaches(id, 'done');
});

test('every payment and refund of this run is one transaction of the ledger', LIMIT, async () => {
  await waitFor('no transfer to be pending', async () => (await platform.crm.sql('SELECT FROM payment_transfer')).length === 0);
  await platform.assertExactlyOnce();
});

test('a transfer whose outcome has been unknown for days is resumed, reported meanwhile, and made once', LIMIT, async () => {
  const customer = await platform.customer(FUNDS);
  const [made, other] = [await platform.payment(customer, 90), await platform.payment(customer, 91)];
  const held = platform.toDatabase.hold(END_STATEMENT);
  const request = platform.act(made, 'process').catch(() => undefined);
  await held;
  await platform.killCrm();
  await request;
  await platform.kill('orchestrator');
  await platform.ageTransfers(72);
  platform.toOrchestrator.cut();
  await platform.startCrm();
  assert.equal((await platform.act(other, 'process')).status, 202);
  await platform.crm.sql(`UPDATE payment_transfer SET created_at = created_at - interval '72 hours'`);
  await waitFor('them to be reported', async () => (await platform.process.metric('payment_transfers_pending', 'state="overdue"')) === 2);
  await platform.startService('orchestrator');
  await waitFor('the old keys of other clients to expire', async () => (await platform.keysOfClients()) === 0);
  platform.toOrchestrator.restore();
  for (const id of [made, other]) await platform.reaches(id, 'done');
  assert.deepEqual(await platform.customersPostings(customer), [FUNDS, -90, -91]);
});
