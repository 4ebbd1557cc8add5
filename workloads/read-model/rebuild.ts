/**
 * A job that projects the topic again from its first record, into a generation of its own, while the former one serves and is kept up to date.
 * When the new one has caught up, it serves, and the former one is removed. docs/read-model.md shows how to run it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { count } from '../shared/kernel/config.ts';
import type { Apply } from '../shared/kernel/consumer/effects.ts';
import { Positions } from '../shared/kernel/consumer/positions.ts';
import { consumerSettings } from '../shared/kernel/consumer/settings.ts';
import { startConsumer } from '../shared/kernel/consumer/start.ts';
import type { LedgerEntry } from '../shared/contracts/ledger-entry.ts';
import { KafkaAdmin } from '../shared/kernel/kafka/admin.ts';
import type { Logger } from '../shared/kernel/log.ts';
import { isTransient, openPostgres } from '../shared/kernel/postgres.ts';
import { retryPolicy } from '../shared/kernel/retry.ts';
import { runJob } from '../shared/kernel/service.ts';
import { Generations, type Building } from './generations.ts';
import { project } from './projection.ts';
import { decodeEntry, projectionEnv } from './settings.ts';

const POLL_MS = 250;
const REPORT_MS = 5_000;

/** The switch occupies a connection while the generation catches up by another one. */
const env = { ...projectionEnv, DB_POOL_MAX: count(2, 100, 4) };

/** Records belong to the consumers as soon as the generation serves. */
class Handover {
  #switching: Promise<boolean> = Promise.resolve(false);

  /** Runs a switch. @returns whether the generation serves */
  async run(work: () => Promise<boolean>): Promise<boolean> {
    this.#switching = work();
    return this.#switching;
  }

  /** Projects until the generation serves; leaves the records that come later to the consumers. @param check throws when another rebuild has begun */
  applier(apply: Apply<LedgerEntry>, check: () => Promise<unknown>): Apply<LedgerEntry> {
    return async (slice) => {
      try {
        const outcome = await apply(slice);
        if (outcome.kind !== 'blocked') return outcome;
        throw new Error(outcome.partitions.map(({ partition, reason }) => `partition ${partition}: ${reason}`).join('; '));
      } catch (error) {
        if (await this.#switching.catch(() => false)) return { kind: 'applied', events: 0, duplicates: 0 };
        await check();
        throw error;
      }
    };
  }
}

async function serve(generations: Generations, building: Building, handover: Handover, maxBehind: number, log: Logger): Promise<void> {
  const retried = retryPolicy({ log, what: 'compare the generations', retryable: isTransient });
  let reportedAt = -Infinity;
  for (;;) {
    const { behind, started } = await retried.execute(() => generations.progress(building));
    if (performance.now() - reportedAt > REPORT_MS) {
      log.info({ generation: building.number, behind: behind.toString() }, 'building the generation');
      reportedAt = performance.now();
    }
    const near = started && behind <= BigInt(maxBehind);
    if (near && (await retried.execute(() => handover.run(() => generations.switchTo(building))))) return;
    await delay(POLL_MS);
  }
}

await runJob('read-model-rebuild', env, async (service) => {
  const { config, log, onStop } = service;
  const settings = consumerSettings('READ_MODEL', config);
  const database = openPostgres(service, config, 'read-model-rebuild');
  const admin = new KafkaAdmin(config, config.POD_NAME, log);
  onStop('admin of the rebuild', () => admin.close());
  const generations = new Generations(database, settings.group, settings.topic);
  const building = await generations.begin();
  log.info({ generation: building.number, topic: settings.topic }, 'a generation begins with the first record of the topic');
  const positions = new Positions(database, building.group, settings.topic);
  onStop('group', () =>
    admin.deleteGroup(building.group).catch((error: unknown) => log.warn({ error }, 'the temporary consumer group was not deleted')),
  );
  const handover = new Handover();
  startConsumer(service, {
    name: 'read_model_rebuild',
    connection: config,
    clientId: config.POD_NAME,
    // The consumers have sent the records that they rejected to the dead-letter topic.
    settings: { ...settings, group: building.group, deadLetterTopic: undefined },
    database,
    positions,
    decode: decodeEntry,
    apply: handover.applier(
      project({
        database,
        positions,
        generation: building.number,
        firstOffset: async (partition) => (await admin.extents(settings.topic)).find((extent) => extent.partition === partition)?.low ?? 0n,
        onProjected: () => undefined,
      }),
      () => generations.progress(building),
    ),
  });
  await serve(generations, building, handover, settings.maxRecords, log);
  log.info({ generation: building.number }, 'the generation serves; removing the former one');
  await retryPolicy({ log, what: 'remove the former generation', retryable: isTransient }).execute(() => generations.removeFormer());
});
