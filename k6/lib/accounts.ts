/** Reads of accounts, as clients of the platform make them. */
import { fail, sleep } from 'k6';
import { field, send } from './gateway.ts';

const ACCOUNTS = 1000;
/** Between two iterations of a virtual user. Without a pause its requests would measure the load generator. */
const THINK_SECONDS = 0.1;
/** One iteration of so many reads a page of the list. */
const LIST_EVERY = 10;

export interface Account {
  readonly id: string;
  readonly currency: string;
  readonly balanceMinor: string;
}

/** The first customer accounts; at least one. */
export function accounts(limit = ACCOUNTS): Account[] {
  const path = `/api/v1/accounts?limit=${limit}`;
  const { answer, ok } = send({
    method: 'GET',
    path,
    name: '/api/v1/accounts',
    expect: { 'status is 200': ({ status }) => status === 200 },
  });
  const listed = (field(answer, 'accounts') ?? []) as Account[];
  if (!ok || listed.length === 0) fail(`the gateway lists no accounts: it answered ${answer.status} ${answer.error}`);
  return listed;
}

/** Their ids. */
export function accountIds(limit?: number): string[] {
  return accounts(limit).map(({ id }) => id);
}

/** One iteration of a virtual user: account, balance and statement of a random account, and a page of the list now and then. */
export function readAccount(ids: readonly string[]): void {
  const id = ids[Math.floor(Math.random() * ids.length)] ?? '';
  read(`/api/v1/accounts/${id}`, '/api/v1/accounts/{id}', 'id', id);
  read(`/api/v1/accounts/${id}/balance`, '/api/v1/accounts/{id}/balance', 'accountId', id);
  read(`/api/v1/accounts/${id}/statement?limit=20`, '/api/v1/accounts/{id}/statement', 'accountId', id);
  if (Math.random() < 1 / LIST_EVERY) list(id);
  sleep(THINK_SECONDS);
}

function read(path: string, name: string, idField: string, id: string): void {
  const expect = {
    'status is 200': ({ status }: { status: number }) => status === 200,
    'answers for this account': (answer: Parameters<typeof field>[0]) => field(answer, idField) === id,
  };
  send({ method: 'GET', path, name, expect });
}

function list(after: string): void {
  const expect = {
    'status is 200': ({ status }: { status: number }) => status === 200,
    'lists later accounts': (answer: Parameters<typeof field>[0]) =>
      ((field(answer, 'accounts') ?? []) as Account[]).every(({ id }) => id > after),
  };
  send({ method: 'GET', path: `/api/v1/accounts?limit=100&after=${after}`, name: '/api/v1/accounts', expect });
}
