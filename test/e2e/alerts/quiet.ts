/** A load without faults, during which no alert may fire. */
import { setTimeout as pause } from 'node:timers/promises';
import { kafkaAt } from '../../../local/src/demo/kafka.ts';
import { NAMESPACE, PLATFORM } from '../environment.ts';
import { Load, type Sent } from '../events.ts';
import type { Bench } from './bench.ts';
import { BUSY_MACHINE } from './faults.ts';
import { inForce, matches, nameOf, unrelated, type Companion, type Labels } from './notifications.ts';
import type { Note } from './run.ts';
import { startTraffic } from './traffic.ts';

/** Each second. */
const REQUESTS = 10;
const EVENTS = 50;
const ACCOUNTS = 1000;
const NOTE_EVERY_SECONDS = 60;

export interface QuietResult {
  readonly seconds: number;
  readonly requests: number;
  /** Requests that were not answered with 200. */
  readonly failed: number;
  readonly events: number;
  /** Alerts that fired or were notified, the watchdog excepted. */
  readonly fired: readonly string[];
  /** Alerts whose condition became true, and ended before its time. */
  readonly pending: readonly string[];
}

/** Sends requests and events for a time, and asks Prometheus which alerts were active within it. */
export async function quiet(bench: Bench, seconds: number, note: Note): Promise<QuietResult> {
  const started = Date.now();
  const traffic = await startTraffic(bench.env, REQUESTS);
  let sent: Sent;
  try {
    [sent] = await Promise.all([sendEvents(bench, seconds), report(seconds, note)]);
  } finally {
    await traffic.stop();
  }
  const [firing, pending, notified] = await Promise.all([
    active(bench, 'firing', started),
    active(bench, 'pending', started),
    bench.catcher.notifications(),
  ]);
  const answers = [...traffic.answers];
  return {
    seconds: (Date.now() - started) / 1000,
    requests: answers.reduce((sum, [, count]) => sum + count, 0),
    failed: answers.reduce((sum, [status, count]) => (status === 200 ? sum : sum + count), 0),
    events: sent.count,
    fired: [...new Set([...firing, ...unrelated(notified, started, [], allowed(bench))])],
    pending: pending.filter((name) => !firing.includes(name)),
  };
}

async function sendEvents({ env }: Bench, seconds: number): Promise<Sent> {
  const producer = kafkaAt(await env.target.forward(NAMESPACE, `${PLATFORM}-kafka`, 9092)).producer({ allowAutoTopicCreation: false });
  await producer.connect();
  try {
    return await new Load(producer, await env.gateway.accounts(ACCOUNTS)).flow(EVENTS, seconds);
  } finally {
    await producer.disconnect();
  }
}

async function report(seconds: number, note: Note): Promise<void> {
  for (let passed = 0; passed < seconds; passed += NOTE_EVERY_SECONDS) {
    note(`${passed} of ${seconds} s`);
    await pause(1000 * Math.min(NOTE_EVERY_SECONDS, seconds - passed));
  }
}

/** What may fire although there is no fault: nothing, with the real durations. */
const allowed = ({ divisor }: Bench): readonly Companion[] => inForce(BUSY_MACHINE, divisor);

/** Alerts that had a state since an instant. */
async function active(bench: Bench, state: 'firing' | 'pending', since: number): Promise<string[]> {
  const range = Math.ceil((Date.now() - since) / 1000);
  const series = await bench.query(`count_over_time(ALERTS{alertstate="${state}",alertname!="Watchdog"}[${range}s])`);
  const counted = series.filter(({ metric }) => state === 'pending' || !allowed(bench).some(({ alert }) => matches(metric, alert)));
  return [...new Set(counted.map(({ metric }) => nameOf(metric satisfies Labels)))].toSorted();
}
