/** Opens a bench: the platform of the end-to-end tests with a webhook and with durations of the alerts divided. */
import { Catcher, CATCHER } from '../catcher.ts';
import { Environment, MINUTE, NAMESPACE, PLATFORM } from '../environment.ts';
import { Bench } from './bench.ts';
import { untilCalm } from './run.ts';

/** @param divisor of all durations of the alerts; 1 leaves them as they are */
export async function openBench(divisor: number): Promise<Bench> {
  const env = await Environment.start();
  try {
    const catcher = await Catcher.start(env);
    const prometheus = await env.target.forward(NAMESPACE, `${PLATFORM}-prometheus`, 9090);
    const bench = new Bench({ env, catcher, prometheus, divisor });
    await bench.patch({
      paused: false,
      prometheus: { alerts: { durationDivisor: divisor } },
      alertmanager: { receivers: { secretName: CATCHER.name, webhook: { port: CATCHER.port } } },
    });
    await env.waitReady(2 * MINUTE);
    // Alertmanager and Prometheus have just restarted.
    await untilCalm(bench);
    return bench;
  } catch (error) {
    await env.end();
    throw error;
  }
}

/** Leaves the platform as it was; takes the cluster down unless others use it. */
export async function closeBench(bench: Bench): Promise<void> {
  try {
    await bench.patch({ prometheus: null, alertmanager: null, paused: false });
    await bench.catcher.stop();
  } finally {
    await bench.env.end();
  }
}
