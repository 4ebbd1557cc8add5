import { kafkaEnv } from '../shared/kernel/config.ts';
import { KafkaAdmin } from '../shared/kernel/kafka/admin.ts';
import { runService } from '../shared/kernel/service.ts';
import { ClusterGauges, readCluster } from './collector.ts';

/** As often as Prometheus scrapes. */
const INTERVAL_MS = 5_000;
/** The exporter is not ready when its last reading is older than this. */
const STALE_MS = 30_000;

await runService('kafka-exporter', kafkaEnv, async ({ config, log, metrics, health, onStop }) => {
  const open = (): KafkaAdmin => new KafkaAdmin(config, config.POD_NAME, log);
  let admin = open();
  onStop('admin', () => admin.close());
  const gauges = new ClusterGauges(metrics);
  const failures = metrics.counter('kafka_exporter_failures_total', 'Readings of the cluster that failed', [], [{}]);
  const lastReading = metrics.gauge('kafka_exporter_last_reading_timestamp_seconds', 'When the cluster was last read; 0: never');
  let readAt = 0;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const read = async (): Promise<void> => {
    try {
      gauges.set(await readCluster(admin));
      readAt = Date.now();
      lastReading.set(readAt / 1000);
    } catch (error) {
      failures.inc();
      log.warn({ error }, 'the cluster could not be read');
      // kafkajs asks for every topic that it has read before: after one is deleted, each of its requests for metadata would fail.
      await admin.close().catch((failure: unknown) => log.debug({ error: failure }, 'the client could not be closed'));
      admin = open();
    }
    if (!stopped) timer = setTimeout(() => void read(), INTERVAL_MS);
  };

  health.addReadiness('reading', () => (Date.now() - readAt > STALE_MS ? 'no recent reading of the cluster' : undefined));
  onStop('readings', async () => {
    stopped = true;
    clearTimeout(timer);
  });
  void read();
});
