/** Servers that test files share: started once for all suites, ended with the runner. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startApiServer, startServices } from '../../local/src/services/index.ts';
import { publishServers } from '../../local/src/services/shared.ts';

export interface TestServers {
  /** Value of BSS_TEST_SERVERS for the test files. */
  readonly file: string;
  stop(): Promise<void>;
}

/** @param kafkas how many files may use a Kafka at the same time. @throws Failure when a server does not start */
export async function startTestServers(kafkas: number): Promise<TestServers> {
  const folder = await mkdtemp(join(tmpdir(), 'bss-test-servers-'));
  const stops: (() => Promise<void>)[] = [() => rm(folder, { recursive: true, force: true })];
  const stop = async (): Promise<void> => void (await Promise.all(stops.map((each) => each())));
  try {
    const brokers = await Promise.all(
      Array.from({ length: kafkas }, async () => {
        const services = await startServices({ kafka: true }, { own: true });
        stops.push(() => services.stop());
        return services.kafka;
      }),
    );
    const apiServer = await startApiServer({ own: true });
    stops.push(() => apiServer.stop());
    return { file: await publishServers(folder, brokers, apiServer), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
