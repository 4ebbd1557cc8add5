import { timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  accountList,
  accountParams,
  accountView,
  balanceView,
  ledgerCheck,
  listQuery,
  statementQuery,
  statementView,
} from '../shared/contracts/ledger.ts';
import type { HttpApi } from '../shared/kernel/http.ts';
import type { KafkaProducer } from '../shared/kernel/kafka/producer.ts';
import type { Logger } from '../shared/kernel/log.ts';
import { Problem } from '../shared/kernel/problems.ts';
import type { LedgerClient } from './ledger-client.ts';
import { seed } from './seed.ts';
import type { SeedAccount } from './seed.ts';

/** Events are spread over at most so many accounts: enough variety, one page of the ledger's list. */
const SEED_ACCOUNTS = 10_000;

export interface SeedOptions {
  enabled: boolean;
  /** Any of them is good. */
  tokens: string[];
  topic: string;
  /** CloudEvents source. */
  source: string;
}

const seedBody = z.object({
  count: z.int('must be a whole number').min(1, 'must be at least 1').max(1_000_000, 'must be at most 1000000'),
});
const seedAnswer = z.object({ accepted: z.number(), topic: z.string(), accounts: z.number(), seconds: z.number() });

const at = (id: string) => `/api/v1/accounts/${encodeURIComponent(id)}`;

/** Adds the reads that the gateway passes on to the ledger. */
export function ledgerProxyRoutes(api: HttpApi, ledger: LedgerClient): void {
  const problems = ['account_not_found', 'ledger_unavailable'] as const;
  api.route({
    method: 'GET',
    path: '/api/v1/accounts',
    summary: 'Customer accounts in order of id',
    query: listQuery,
    response: accountList,
    problems: ['ledger_unavailable'],
    handle: ({ query }) => ledger.get(`/api/v1/accounts?after=${encodeURIComponent(query.after)}&limit=${query.limit}`, accountList),
  });
  api.route({
    method: 'GET',
    path: '/api/v1/accounts/{id}',
    summary: 'One account',
    params: accountParams,
    response: accountView,
    problems: [...problems],
    handle: ({ params }) => ledger.get(at(params.id), accountView),
  });
  api.route({
    method: 'GET',
    path: '/api/v1/accounts/{id}/balance',
    summary: 'Balance of an account in minor units',
    params: accountParams,
    response: balanceView,
    problems: [...problems],
    handle: ({ params }) => ledger.get(`${at(params.id)}/balance`, balanceView),
  });
  api.route({
    method: 'GET',
    path: '/api/v1/accounts/{id}/statement',
    summary: 'Newest postings of an account',
    params: accountParams,
    query: statementQuery,
    response: statementView,
    problems: [...problems],
    handle: ({ params, query }) => ledger.get(`${at(params.id)}/statement?limit=${query.limit}`, statementView),
  });
  api.route({
    method: 'GET',
    path: '/api/v1/ledger/check',
    summary: 'Adds up the whole ledger',
    response: ledgerCheck,
    problems: ['ledger_unavailable'],
    handle: () => ledger.get('/api/v1/ledger/check', ledgerCheck),
  });
}

/** Adds `POST /debug/seed`; where seeding is not enabled it answers 404, whatever the token. */
export function seedRoute(api: HttpApi, options: SeedOptions, parts: { ledger: LedgerClient; producer: KafkaProducer; log: Logger }): void {
  const { ledger, producer, log } = parts;
  const guard = (request: FastifyRequest): void => {
    if (!options.enabled) throw new Problem('seed_not_enabled', 'Set spec.workloads.gateway.debugSeed.enabled to true on the platform.');
    if (!options.tokens.some((token) => sameToken(request.headers.authorization, token)))
      throw new Problem('unauthorized', 'Send the debug token as "Authorization: Bearer <token>".');
  };
  api.route({
    method: 'POST',
    path: '/debug/seed',
    summary: 'Publishes random interest transactions over the customer accounts; answers when Kafka has acknowledged all of them',
    body: seedBody,
    status: 202,
    response: seedAnswer,
    problems: ['seed_not_enabled', 'unauthorized', 'no_accounts', 'kafka_unavailable', 'ledger_unavailable'],
    before: guard,
    handle: async ({ body: { count }, request }) => {
      const startedAt = Date.now();
      const { accounts } = await ledger.get(`/api/v1/accounts?limit=${SEED_ACCOUNTS}`, accountList);
      const targets: SeedAccount[] = accounts.map(({ id, currency }) => ({ id, currency }));
      if (targets.length === 0) throw new Problem('no_accounts', 'Run the migration job with SEED_ACCOUNTS above 0.');
      const accepted = await produce(count, targets, () => request.raw.socket.destroyed);
      const seconds = (Date.now() - startedAt) / 1000;
      log.info({ accepted, topic: options.topic, seconds }, 'seeded');
      return { accepted, topic: options.topic, accounts: targets.length, seconds };
    },
  });

  async function produce(count: number, accounts: SeedAccount[], cancelled: () => boolean): Promise<number> {
    try {
      return await seed(producer, { topic: options.topic, source: options.source, count, accounts }, log, cancelled);
    } catch (error) {
      throw new Problem('kafka_unavailable', 'Some events may have been accepted; the ledger shows which.', undefined, { cause: error });
    }
  }
}

function sameToken(header: string | undefined, token: string): boolean {
  const given = Buffer.from(header ?? '');
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
