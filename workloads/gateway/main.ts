import { z } from 'zod';
import { count, flag, httpEnv, kafkaEnv, topicName } from '../shared/kernel/config.ts';
import { bearerToken, HttpServer } from '../shared/kernel/http.ts';
import { KafkaProducer } from '../shared/kernel/kafka/producer.ts';
import { runService } from '../shared/kernel/service.ts';
import { LedgerClient } from './ledger-client.ts';
import { ledgerRoutes } from './ledger-routes.ts';
import { seedRoute } from './seed-route.ts';

const token = z.string({ error: 'set it from the Secret of the platform' }).min(16, 'use at least 16 characters');

const env = {
  ...httpEnv,
  ...kafkaEnv,
  LEDGER_URL: z.url({ protocol: /^https?$/, error: "write the ledger's address, such as http://ledger:8080" }),
  DEBUG_SEED_ENABLED: flag,
  DEBUG_TOKEN: token,
  /** While the token is being rotated. */
  DEBUG_TOKEN_OTHER: token.optional(),
  INTEREST_TOPIC: topicName,
  /** Requests of one client address; an address may stand for many clients behind a proxy. */
  REQUESTS_PER_SECOND: count(1, 1_000_000, 2_000),
};

await runService('gateway', env, async ({ config, log, metrics, onStop }) => {
  const producer = new KafkaProducer(config, config.POD_NAME, log, metrics);
  onStop('producer', () => producer.close());
  const ledger = new LedgerClient(config.LEDGER_URL, log, metrics);
  const http = await HttpServer.create(
    'BSS gateway',
    { log, metrics },
    { maxInFlight: config.MAX_REQUESTS_IN_FLIGHT, requestsPerSecond: config.REQUESTS_PER_SECOND },
  );
  const tokens = [config.DEBUG_TOKEN, config.DEBUG_TOKEN_OTHER].filter((one) => one !== undefined);
  const isAuthorized = await bearerToken(http.app, tokens, 'Send the debug token as "Authorization: Bearer <token>".');
  ledgerRoutes(http.app, ledger, isAuthorized);
  seedRoute(
    http.app,
    {
      enabled: config.DEBUG_SEED_ENABLED,
      topic: config.INTEREST_TOPIC,
      source: `/${config.NAMESPACE}/${config.PLATFORM}/gateway`,
    },
    { ledger, producer, log, isAuthorized },
  );
  onStop('http', () => http.close());
  await http.listen(config.PORT);
});
