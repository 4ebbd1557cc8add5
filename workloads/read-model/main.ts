import { authEnv, openAuthentication } from '../shared/kernel/auth/config.ts';
import { httpEnv } from '../shared/kernel/config.ts';
import { Positions } from '../shared/kernel/consumer/positions.ts';
import { consumerSettings } from '../shared/kernel/consumer/settings.ts';
import { startConsumer } from '../shared/kernel/consumer/start.ts';
import { HttpServer } from '../shared/kernel/http.ts';
import { KafkaAdmin } from '../shared/kernel/kafka/admin.ts';
import { openPostgres } from '../shared/kernel/postgres.ts';
import { runService } from '../shared/kernel/service.ts';
import { readModelRoutes } from './api.ts';
import { Changes } from './changes.ts';
import { Freshness } from './freshness.ts';
import { watchGeneration } from './watch-generation.ts';
import { readModelMetrics } from './metrics.ts';
import { project } from './projection.ts';
import { decodeEntry, idsOf, projectionEnv } from './settings.ts';
import { ReadModelStore } from './store.ts';

await runService('read-model', { ...httpEnv, ...authEnv, ...projectionEnv }, async (service) => {
  const { config, log, metrics, onStop } = service;
  const settings = consumerSettings('READ_MODEL', config);
  const database = openPostgres(service, config, 'read-model');
  const positions = new Positions(database, settings.group, settings.topic);
  const admin = new KafkaAdmin(config, config.POD_NAME, log);
  onStop('progress admin', () => admin.close());
  const own = readModelMetrics(metrics);
  const store = new ReadModelStore(database);
  const changes = new Changes((accountIds) => store.sequences(accountIds), log);
  const freshness = new Freshness({ admin, positions, lag: own.lag, log });
  const http = await HttpServer.create('BSS read model', service, {
    maxInFlight: config.MAX_REQUESTS_IN_FLIGHT,
    // Its clients are services of the platform, which hold the key of the read model.
    authentication: await openAuthentication(config, 'services', log),
  });
  readModelRoutes(http.app, { store, changes, freshness, metrics: own });
  onStop('freshness', freshness.start());
  onStop('generation', watchGeneration(store, own.generation, log));
  startConsumer(service, {
    name: 'read_model',
    connection: config,
    clientId: config.POD_NAME,
    settings,
    database,
    positions,
    decode: decodeEntry,
    apply: project({
      database,
      positions,
      firstOffset: async (partition) => (await admin.extents(settings.topic)).find((extent) => extent.partition === partition)?.low ?? 0n,
      onProjected: (entries) => {
        own.projected(entries);
        for (const accountId of new Set(entries.map((entry) => entry.accountId))) changes.projected(accountId);
      },
    }),
    idsOf,
    followMessages: true,
  });
  onStop('http', () => http.close());
  await http.listen(config.PORT);
});
