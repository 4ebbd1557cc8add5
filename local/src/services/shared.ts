/**
 * Servers that the test runner starts once for many test files. The environment variable BSS_TEST_SERVERS names a JSON file with their
 * addresses. A Kafka belongs to one test file at a time and is emptied before its next use. The API server serves all files at once.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { Kafka, logLevel } from 'kafkajs';
import { Failure } from '../failure.ts';
import { tryLock } from '../lock.ts';
import type { Service } from './process.ts';
import type { ApiServer, KafkaService } from './types.ts';

export const SHARED_SERVERS = 'BSS_TEST_SERVERS';

export interface SharedServers {
  readonly kafka: readonly { readonly brokers: string[]; readonly lockFile: string }[];
  readonly apiServer?: Pick<ApiServer, 'url' | 'kubeconfigPath' | 'token' | 'auditLogPath'>;
}

const EMPTY_LIMIT_MS = 30_000;

/** Writes the addresses into the folder. @returns the value of BSS_TEST_SERVERS */
export async function publishServers(folder: string, kafkas: readonly KafkaService[], apiServer: ApiServer): Promise<string> {
  const file = join(folder, 'servers.json');
  const { url, kubeconfigPath, token, auditLogPath } = apiServer;
  const servers: SharedServers = {
    kafka: kafkas.map(({ brokers }, index) => ({ brokers, lockFile: join(folder, `kafka-${index}.lock`) })),
    apiServer: { url, kubeconfigPath, token, auditLogPath },
  };
  await writeFile(file, JSON.stringify(servers), { mode: 0o600 });
  return file;
}

/**
 * Takes a shared Kafka that no other process uses, and deletes its topics and consumer groups.
 * @returns undefined when there is none, none is free, or none can be emptied
 */
export async function leaseKafka(): Promise<(KafkaService & { release: () => Promise<void> }) | undefined> {
  for (const { brokers, lockFile } of (await readServers())?.kafka ?? []) {
    const unlock = await tryLock(lockFile);
    if (unlock === undefined) continue;
    try {
      await emptyKafka(brokers);
      const release = (): Promise<void> => Promise.resolve(unlock());
      return { ...refusing('Kafka'), brokers, stop: release, release };
    } catch (error) {
      // For example a consumer of the file before that was killed and has not yet timed out.
      console.error(`shared Kafka ${brokers.join()} cannot be emptied: ${String(error)}`);
      unlock();
    }
  }
  return undefined;
}

/** @returns undefined when the runner shares none */
export async function sharedApiServer(): Promise<ApiServer | undefined> {
  const shared = (await readServers())?.apiServer;
  return shared === undefined ? undefined : { ...refusing('the API server'), ...shared, stop: () => Promise.resolve() };
}

async function readServers(): Promise<SharedServers | undefined> {
  const file = process.env[SHARED_SERVERS];
  return file === undefined ? undefined : (JSON.parse(await readFile(file, 'utf8')) as SharedServers);
}

/** Deletes all topics and consumer groups. @throws when a group still has members, or topics remain after 30 s */
export async function emptyKafka(brokers: string[]): Promise<void> {
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    const { groups } = await admin.listGroups();
    if (groups.length > 0) await admin.deleteGroups(groups.map(({ groupId }) => groupId));
    const deadline = Date.now() + EMPTY_LIMIT_MS;
    for (;;) {
      const topics = (await admin.listTopics()).filter((name) => !name.startsWith('__'));
      if (topics.length === 0) return;
      if (Date.now() > deadline) throw new Failure(`topics remain after ${EMPTY_LIMIT_MS / 1000} s: ${topics.join(', ')}`);
      // A topic that is already being deleted is unknown to the controller.
      await admin.deleteTopics({ topics }).catch(() => undefined);
    }
  } finally {
    await admin.disconnect();
  }
}

/** One test file must not take a shared server from the others. */
function refusing(name: string): Service {
  const refuse = (): never => {
    throw new Failure(`${name} is shared with other test files: pass { own: true } to get one that the test may stop`);
  };
  return { start: refuse, stop: refuse, kill: refuse, restart: refuse, freeze: refuse, thaw: refuse };
}
