/** The crm service with the ledger, the accounts, the orchestrator and a gateway as processes, and proxies in which its calls get lost. */
import assert from 'node:assert/strict';
import { Pool } from 'pg';
import { firstIdAt } from '../../orchestrator/sweeper.ts';
import { FaultProxy } from '../../shared/testing/fault-proxy.ts';
import { createTopics } from '../../shared/testing/topics.ts';
import { waitFor } from '../../shared/testing/wait.ts';
import { freePort, Workload } from '../../shared/testing/workload.ts';
import { customerAccount, receiptsAccount } from '../payments/transfers.ts';
import { CrmClient, CrmPlatform, CRM_KEY } from './platform.ts';
import type { CrmAnswer } from './platform.ts';

const KEYS = {
  ledger: 'the-key-of-the-ledger-for-this-test-0',
  accounts: 'the-key-of-the-accounts-for-this-test-',
  orchestrator: 'the-key-of-the-orchestrator-for-a-test',
};
type Service = keyof typeof KEYS;
/** The key of a client of the gateway, with every scope. */
export const GATEWAY_KEY = 'the-key-of-the-platform-for-this-test';
const INTEREST_TOPIC = 'interest.transaction.v1';

/** A transfer on its way to the orchestrator. */
export const TRANSFER_POST = (chunk: Buffer): boolean => chunk.includes('POST /api/v1/transfers');
/** The statement with which the outcome of a transfer begins to be written. */
export const END_STATEMENT = (chunk: Buffer): boolean => chunk.includes('DELETE FROM payment_transfer');

export class PaymentPlatform {
  readonly crm: CrmPlatform;
  readonly toOrchestrator: FaultProxy;
  readonly toDatabase: FaultProxy;
  readonly #ports: Record<Service, number>;
  readonly #ledger: Pool;
  readonly #orchestrator: Pool;
  readonly #services = new Map<Service, Workload>();
  readonly #gateways: Workload[] = [];
  readonly #crmEnv: Record<string, string>;
  #process!: Workload;
  #client!: CrmClient;
  #transactions = 0;

  private constructor(
    crm: CrmPlatform,
    proxies: { toOrchestrator: FaultProxy; toDatabase: FaultProxy },
    ports: Record<Service, number>,
    crmEnv: Record<string, string>,
  ) {
    this.crm = crm;
    this.#crmEnv = crmEnv;
    this.toOrchestrator = proxies.toOrchestrator;
    this.toDatabase = proxies.toDatabase;
    this.#ports = ports;
    this.#ledger = new Pool({ connectionString: crm.services.postgres.url('ledger'), max: 2 });
    this.#ledger.on('error', () => undefined);
    this.#orchestrator = new Pool({ connectionString: crm.services.postgres.url('orchestrator'), max: 1 });
    this.#orchestrator.on('error', () => undefined);
  }

  /** @param crmEnv further variables of crm */
  static async start(crmEnv: Record<string, string> = {}): Promise<PaymentPlatform> {
    const crm = await CrmPlatform.start();
    await createTopics(crm.services.kafka.brokers, [{ topic: 'account.opened.v1', partitions: 1 }]);
    const ports = { ledger: await freePort(), accounts: await freePort(), orchestrator: await freePort() };
    const toOrchestrator = await FaultProxy.start({ host: '127.0.0.1', port: ports.orchestrator });
    const { host, port } = crm.services.pgbouncer;
    const toDatabase = await FaultProxy.start({ host, port });
    const platform = new PaymentPlatform(crm, { toOrchestrator, toDatabase }, ports, crmEnv);
    try {
      await Promise.all([platform.startService('ledger'), platform.startService('accounts'), platform.startService('orchestrator')]);
      await platform.startCrm();
      await platform.#postLedger('accounts', { id: 'bank', kind: 'internal', currency: 'EUR' });
    } catch (error) {
      await platform.stop();
      throw error;
    }
    return platform;
  }

  /** The client of the crm process that runs now. */
  get api(): CrmClient {
    return this.#client;
  }

  get process(): Workload {
    return this.#process;
  }

  async startService(name: Service): Promise<void> {
    const { host, port } = this.crm.services.pgbouncer;
    const ledger = name === 'ledger' ? {} : { LEDGER_URL: `http://127.0.0.1:${this.#ports.ledger}`, LEDGER_API_KEY: KEYS.ledger };
    const workload = await Workload.start(name, {
      PLATFORM: 'test',
      KAFKA_BROKERS: this.crm.services.kafka.brokers.join(','),
      DATABASE_URL: `postgresql://${name}@${host}:${port}/${name}`,
      PGPASSWORD: 'test-password',
      PORT: String(this.#ports[name]),
      API_KEY: KEYS[name],
      ...ledger,
    });
    this.#services.set(name, workload);
    await workload.ready();
  }

  /** Kills a service. */
  async kill(name: Service): Promise<void> {
    await this.#services.get(name)?.end('SIGKILL');
  }

  async startCrm(): Promise<void> {
    const { workload, client } = await this.crm.crm({
      DATABASE_URL: `postgresql://crm@${this.toDatabase.host}:${this.toDatabase.port}/crm`,
      ORCHESTRATOR_URL: `http://127.0.0.1:${this.toOrchestrator.port}`,
      ORCHESTRATOR_API_KEY: KEYS.orchestrator,
      ACCOUNTS_URL: `http://127.0.0.1:${this.#ports.accounts}`,
      ACCOUNTS_API_KEY: KEYS.accounts,
      ...this.#crmEnv,
    });
    this.#process = workload;
    this.#client = client;
  }

  /** Starts a gateway in front of the services. @param env further variables */
  async startGateway(env: Record<string, string> = {}): Promise<{ workload: Workload; client: CrmClient }> {
    const { brokers } = this.crm.services.kafka;
    await createTopics(brokers, [{ topic: INTEREST_TOPIC, partitions: 1 }]);
    const at = (service: Service): string => `http://127.0.0.1:${this.#ports[service]}`;
    const port = await freePort();
    const workload = await Workload.start('gateway', {
      PLATFORM: 'test',
      KAFKA_BROKERS: brokers.join(','),
      INTEREST_TOPIC,
      PORT: String(port),
      API_KEY: GATEWAY_KEY,
      LEDGER_URL: at('ledger'),
      LEDGER_API_KEY: KEYS.ledger,
      ORCHESTRATOR_URL: at('orchestrator'),
      ORCHESTRATOR_API_KEY: KEYS.orchestrator,
      ACCOUNTS_URL: at('accounts'),
      ACCOUNTS_API_KEY: KEYS.accounts,
      CRM_URL: this.#client.base,
      CRM_API_KEY: CRM_KEY,
      ...env,
    });
    this.#gateways.push(workload);
    await workload.ready();
    return { workload, client: new CrmClient(`http://127.0.0.1:${port}`, GATEWAY_KEY) };
  }

  async killCrm(): Promise<void> {
    await this.#process.end('SIGKILL');
  }

  async #post(service: Service, path: string, body: object): Promise<void> {
    const response = await fetch(`http://127.0.0.1:${this.#ports[service]}/api/v1/${path}`, {
      method: 'POST',
      headers: { 'x-api-key': KEYS[service], 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    assert.ok(response.ok, await response.text());
  }

  #postLedger(path: string, body: object): Promise<void> {
    return this.#post('ledger', path, body);
  }

  /** Moves an amount between accounts of the ledger, past the orchestrator. */
  async move(from: string, to: string, amount: number): Promise<void> {
    const postings = [
      { accountId: from, amountMinor: String(-amount) },
      { accountId: to, amountMinor: String(amount) },
    ];
    await this.#postLedger('transactions', { externalId: `test:${(this.#transactions += 1)}`, currency: 'EUR', postings });
  }

  /** Opens the account of a customer at the ledger. */
  openAccount(customerId: string): Promise<void> {
    return this.#post('accounts', 'accounts', { id: customerAccount(customerId), currency: 'EUR', productCode: 'current' });
  }

  /** A customer with an amount on its account. */
  async customer(funds = 0): Promise<string> {
    const { status, body } = await this.api.post('customers', { name: 'Jane Example' });
    assert.equal(status, 201, JSON.stringify(body));
    const id = String(body['id']);
    if (funds === 0) return id;
    await this.openAccount(id);
    await this.move('bank', customerAccount(id), funds);
    return id;
  }

  /** A payment that is not processed yet. @returns its id */
  async payment(customerId: string, amountMinor: number, more: object = {}): Promise<string> {
    const { status, body } = await this.api.post('payments', { customerId, amountMinor: String(amountMinor), ...more });
    assert.equal(status, 201, JSON.stringify(body));
    return String(body['id']);
  }

  /** Processes or refunds a payment. */
  act(id: string, action: 'process' | 'refund'): Promise<CrmAnswer> {
    return this.api.send('POST', `payments/${id}/${action}`);
  }

  async status(id: string): Promise<unknown> {
    return (await this.api.get(`payments/${id}`)).body['status'];
  }

  async reaches(id: string, status: string): Promise<void> {
    await waitFor(`payment ${id} to be ${status}`, async () => (await this.status(id)) === status, 60_000);
  }

  /** Amounts that the ledger has posted to an account, the first one first. */
  async postings(account: string): Promise<number[]> {
    const { rows } = await this.#ledger.query<{ amount: string }>(
      'SELECT amount_minor::text AS amount FROM posting WHERE account_id = $1 ORDER BY account_seq',
      [account],
    );
    return rows.map(({ amount }) => Number(amount));
  }

  /** Amounts that the ledger has posted to the customer's account; the funds come first. */
  customersPostings(customerId: string): Promise<number[]> {
    return this.postings(customerAccount(customerId));
  }

  /** As if every transfer had been made so many hours ago, and another client had made one too. The orchestrator does not run. */
  async ageTransfers(hours: number): Promise<void> {
    const first = firstIdAt(Date.now() - hours * 3_600_000);
    await this.#orchestrator.query(
      `UPDATE transfer SET id = (left($1, 15) || right(id::text, 21))::uuid, created_at = created_at - $2 * interval '1 hour'`,
      [first, hours],
    );
    await this.#orchestrator.query(
      `INSERT INTO transfer (id, client, idempotency_key, from_account, to_account, currency, amount_minor, status, transaction_id, ended_at, lease_until)
       VALUES ($1, 'key:another', 'old', 'a', 'b', 'EUR', 1, 'completed', $1, now(), now())`,
      [first],
    );
  }

  /** Idempotency keys that the orchestrator has of clients that are no services. */
  async keysOfClients(): Promise<number> {
    const { rows } = await this.#orchestrator.query(`SELECT FROM transfer WHERE client = 'key:another' AND idempotency_key IS NOT NULL`);
    return rows.length;
  }

  async receipts(): Promise<number> {
    return (await this.postings(receiptsAccount('EUR'))).reduce((sum, amount) => sum + amount, 0);
  }

  /** Every payment that is done is one transaction of the ledger, every refund another one, and no other transfer has been made. */
  async assertExactlyOnce(): Promise<void> {
    const payments = await this.crm.sql<{ transfer: string; refund: string | null }>(
      `SELECT transfer_id::text AS transfer, refund_transfer_id::text AS refund FROM payment WHERE transfer_id IS NOT NULL`,
    );
    const expected = payments.flatMap(({ transfer, refund }) => (refund === null ? [transfer] : [transfer, refund]));
    const { rows } = await this.#ledger.query<{ id: string }>(
      `SELECT external_id AS id FROM journal_transaction WHERE external_id LIKE 'transfer:%'`,
    );
    assert.deepEqual(rows.map(({ id }) => id.slice('transfer:'.length)).toSorted(), expected.toSorted());
    assert.deepEqual(await this.crm.sql('SELECT FROM payment_transfer'), [], 'no outcome is unknown');
  }

  async stop(): Promise<void> {
    const workloads = [...this.#gateways, this.#process, ...this.#services.values()];
    await Promise.allSettled(workloads.map((workload) => workload?.stop()));
    await Promise.allSettled([this.#ledger.end(), this.#orchestrator.end(), this.toOrchestrator.stop(), this.toDatabase.stop()]);
    await this.crm.stop();
  }
}
