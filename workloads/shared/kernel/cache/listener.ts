import { Client } from 'pg';
import type { QueryResultRow } from 'pg';
import { asError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { withPassword } from '../postgres.ts';
import type { Queryable } from '../postgres.ts';

const CHANNEL = 'cache_invalidation';
const CONNECT_LIMIT_MS = 3_000;
const QUERY_LIMIT_MS = 3_000;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 2_000;

/**
 * Listens to Postgres on a connection of its own: PgBouncer in transaction mode drops LISTEN. A notification is only a reason to read the
 * notification table now; one that is lost, or that came while there was no connection, costs time and no correctness.
 */
export class NotificationListener implements Queryable {
  readonly #url: string;
  readonly #log: Logger;
  #client: Client | undefined;
  #stopped = false;
  #retry: NodeJS.Timeout | undefined;
  #delayMs = FIRST_DELAY_MS;
  #wake: () => void = () => undefined;

  /** @param url of the server itself, not of PgBouncer */
  constructor(url: string, password: string, log: Logger) {
    this.#url = withPassword(url, password);
    this.#log = log;
  }

  /** Connects in the background. @param wake there may be something new: a notification, a new connection, or a lost one */
  start(wake: () => void): void {
    this.#wake = wake;
    void this.#connect();
  }

  get connected(): boolean {
    return this.#client !== undefined;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  /** Prepares the statement under its name: planning it takes longer than running it. */
  async query<R extends QueryResultRow>(name: string, text: string, values: unknown[] = []): Promise<R[]> {
    const client = this.#client;
    if (!client) throw new Error('Connection terminated: there is no connection to listen on');
    try {
      return (await client.query<R>({ name, text, values })).rows;
    } catch (error) {
      // A connection that does not answer has to be replaced; one statement at a time uses it.
      this.#lost(client, error);
      throw error;
    }
  }

  async #connect(): Promise<void> {
    const client = new Client({
      connectionString: this.#url,
      application_name: 'cache-listener',
      keepAlive: true,
      connectionTimeoutMillis: CONNECT_LIMIT_MS,
      query_timeout: QUERY_LIMIT_MS,
    });
    client.on('error', (error) => this.#lost(client, error));
    client.on('end', () => this.#lost(client, new Error('the connection ended')));
    client.on('notification', () => this.#wake());
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
    } catch (error) {
      this.#again(client, error);
      return;
    }
    if (this.#stopped) return void client.end().catch(() => undefined);
    this.#client = client;
    this.#delayMs = FIRST_DELAY_MS;
    this.#wake();
  }

  #lost(client: Client, error: unknown): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#again(client, error);
    this.#wake();
  }

  #again(client: Client, error: unknown): void {
    client.end().catch(() => undefined);
    if (this.#stopped) return;
    this.#log.warn({ error: asError(error), delay_ms: this.#delayMs }, 'cannot listen to the database; retrying');
    this.#retry = setTimeout(() => void this.#connect(), this.#delayMs);
    this.#delayMs = Math.min(MAX_DELAY_MS, this.#delayMs * 2);
  }
}
