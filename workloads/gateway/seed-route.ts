import type { onRequestHookHandler } from 'fastify';
import { z } from 'zod';
import { accountList } from '../shared/contracts/ledger.ts';
import { PROBLEMS as UNAVAILABLE } from '../shared/contracts/unavailable.ts';
import { answers } from '../shared/kernel/http.ts';
import type { HttpApp } from '../shared/kernel/http.ts';
import type { KafkaProducer } from '../shared/kernel/kafka/producer.ts';
import type { Logger } from '../shared/kernel/log.ts';
import { Problem } from '../shared/kernel/problems.ts';
import type { ServiceClient } from '../shared/kernel/service-client.ts';
import { PROBLEMS } from './problems.ts';
import { seed } from './seed.ts';
import type { SeedAccount } from './seed.ts';

/** Events are spread over at most so many accounts: enough variety, one page of the ledger's list. */
const SEED_ACCOUNTS = 10_000;
const LIST_ATTEMPT_MS = 10_000;
/** A million events take about a minute. */
const DEADLINE_MS = 10 * 60_000;

export interface SeedOptions {
  enabled: boolean;
  topic: string;
  /** CloudEvents source. */
  source: string;
  /** Most events of one request. */
  maxEvents: number;
}

const seedBody = (maxEvents: number) =>
  z.object({
    count: z.int('must be a whole number').min(1, 'must be at least 1').max(maxEvents, `must be at most ${maxEvents}`),
  });
const seedAnswer = z.object({ accepted: z.number(), topic: z.string(), accounts: z.number(), seconds: z.number() });

/** Adds `POST /debug/seed`; where seeding is not enabled it answers 404. */
export function seedRoute(
  app: HttpApp,
  options: SeedOptions,
  parts: { ledger: ServiceClient; producer: KafkaProducer; log: Logger },
): void {
  const { ledger, producer, log } = parts;
  const problems = [PROBLEMS.seed_not_enabled, PROBLEMS.no_accounts, PROBLEMS.kafka_unavailable, UNAVAILABLE.ledger_unavailable];
  const isEnabled: onRequestHookHandler = (_request, _reply, done) => {
    if (options.enabled) done();
    else done(new Problem(PROBLEMS.seed_not_enabled, 'Set spec.workloads.gateway.debugSeed.enabled to true on the platform.'));
  };
  app.post(
    '/debug/seed',
    {
      handlerTimeout: DEADLINE_MS,
      config: { scopes: ['debug:seed'] },
      onRequest: [isEnabled],
      schema: {
        summary: 'Publishes random interest transactions over the customer accounts; answers when Kafka has acknowledged all of them',
        body: seedBody(options.maxEvents),
        response: answers(202, seedAnswer, ...problems),
      },
    },
    async (request, reply) => {
      const startedAt = Date.now();
      const { accounts } = await ledger.get({ path: `/api/v1/accounts?limit=${SEED_ACCOUNTS}` }, accountList, {
        attemptMs: LIST_ATTEMPT_MS,
      });
      const targets: SeedAccount[] = accounts.map(({ id, currency }) => ({ id, currency }));
      if (targets.length === 0) throw new Problem(PROBLEMS.no_accounts, 'Set spec.seedAccounts on the platform above 0.');
      const accepted = await produce(request.body.count, targets, () => request.raw.socket.destroyed);
      const seconds = (Date.now() - startedAt) / 1000;
      log.info({ accepted, topic: options.topic, seconds }, 'seeded');
      return reply.status(202).send({ accepted, topic: options.topic, accounts: targets.length, seconds });
    },
  );

  async function produce(count: number, accounts: SeedAccount[], cancelled: () => boolean): Promise<number> {
    try {
      return await seed(producer, { topic: options.topic, source: options.source, count, accounts }, log, cancelled);
    } catch (error) {
      throw new Problem(PROBLEMS.kafka_unavailable, 'Some events may have been accepted; the ledger shows which.', { cause: error });
    }
  }
}
