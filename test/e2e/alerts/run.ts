/** Causes the faults of a round, and follows each from its cause to the resolution of its alerts. */
import { until } from '../../../local/src/demo/platform.ts';
import { MINUTE } from '../environment.ts';
import type { Bench } from './bench.ts';
import { BUDGET_BURNS, BUSY_MACHINE, limitMs, type Fault, type Round } from './faults.ts';
import { firstAfter, inForce, matches, muted, nameOf, notifiedBesides, unrelated, type Companion, type Labels } from './notifications.ts';
import { startTraffic } from './traffic.ts';

/** What became of one alert of a fault. Times in seconds. */
export interface AlertResult {
  /** With the labels that the fault names. */
  readonly name: string;
  /** As it was notified. */
  readonly alert: Labels;
  readonly annotations: Readonly<Record<string, string>>;
  /** From the fault to the notification. */
  readonly notifiedAfter: number;
  /** From the repair to the notification that it is resolved. */
  readonly resolvedAfter: number;
}

export interface FaultResult {
  readonly fault: string;
  readonly alerts: readonly AlertResult[];
  /** Why the alerts were not seen to fire or to resolve. */
  readonly problem?: string;
}

export interface RoundResult {
  readonly round: string;
  readonly faults: readonly FaultResult[];
  /** Alerts that follow from the faults and were notified as well. */
  readonly besides: readonly string[];
  /** Alerts that were notified and belong to no fault. */
  readonly unrelated: readonly string[];
  readonly seconds: number;
}

/** Receives what a fault waits for. */
export type Note = (text: string) => void;

/** Requests a second to the gateway during a round. */
const REQUESTS_PER_SECOND = 4;

export interface RoundOptions {
  /** Companions of earlier rounds that may still be notified. */
  readonly earlier: readonly Companion[];
  readonly note: Note;
  /** Receives what became of a fault as soon as it is known. */
  readonly onFault?: (result: FaultResult) => Promise<void>;
}

/** Runs one round and leaves the platform Ready. */
export async function runRound(bench: Bench, round: Round, options: RoundOptions): Promise<RoundResult> {
  const { earlier, note, onFault } = options;
  const faults = await possible(bench, round);
  const started = Date.now();
  const traffic = await startTraffic(bench.env, REQUESTS_PER_SECOND);
  try {
    note('the operator is paused, the faults are prepared');
    await bench.pause();
    for (const { prepare } of faults) await prepare?.(bench);
    const results = await Promise.all(
      faults.map(async (fault) => {
        const result = await faultToResolution(bench, round, fault, note);
        await onFault?.(result);
        return result;
      }),
    );
    const expected = faults.flatMap(({ alerts }) => alerts);
    const known = [...earlier, ...muted(expected), ...faults.flatMap((fault) => fault.companions ?? []), ...BUSY_MACHINE];
    const companions = inForce(known, bench.divisor);
    const all = await bench.catcher.notifications();
    return {
      round: round.name,
      faults: results,
      besides: notifiedBesides(all, started, expected, companions),
      unrelated: unrelated(all, started, expected, companions),
      seconds: (Date.now() - started) / 1000,
    };
  } finally {
    await traffic.stop();
    // What stays goes with the cluster.
    for (const { finish } of faults) await finish?.(bench).catch((error: unknown) => note(String(error)));
    await bench.resume();
    await untilCalm(bench);
  }
}

/** The faults of a round that can be seen on this platform. */
async function possible({ env }: Bench, { faults }: Round): Promise<Fault[]> {
  const components = (await env.platform.get())?.status?.components ?? [];
  return faults.filter(({ needs }) => needs === undefined || components.some(({ name }) => name === needs));
}

/**
 * Waits until no alert is active, so that what follows begins without leftovers. The watchdog always is, those that look far back may be, and so may
 * those on a busy machine, where they are no fault.
 */
export function untilCalm(bench: Bench): Promise<unknown> {
  const tolerated = [...BUDGET_BURNS, ...inForce(BUSY_MACHINE, bench.divisor)];
  return until('every alert to end', limitMs(bench), async () => {
    const left = (await bench.active()).filter((labels) => !tolerated.some(({ alert }) => matches(labels, alert)));
    if (left.length > 0) throw new Error(`active: ${left.map(nameOf).join(', ')}`);
    return true;
  });
}

/** Companions that may be notified after the round as well. */
export function lasting({ faults }: Round): Companion[] {
  return faults.flatMap(({ companions = [] }) => companions.filter((companion) => companion.lasting === true));
}

async function faultToResolution(bench: Bench, { inStatus }: Round, fault: Fault, note: Note): Promise<FaultResult> {
  const { name, alerts, cause, repair } = fault;
  let isRepaired = false;
  const repairOnce = async (): Promise<void> => {
    if (isRepaired) return;
    isRepaired = true;
    await repair(bench);
  };
  try {
    const broken = Date.now();
    note(`${name}: caused, waits for ${alerts.map(nameOf).join(' and ')}`);
    await cause(bench);
    const fired = await Promise.all(alerts.map((alert) => notification(bench, 'firing', alert, broken)));
    note(`${name}: notified after ${fired.map(({ receivedAt }) => seconds(broken, receivedAt)).join(' and ')} s`);
    if (inStatus) await untilStatus(bench, alerts, true);
    const repaired = Date.now();
    await repairOnce();
    note(`${name}: repaired, waits for the resolution`);
    const ended = await Promise.all(alerts.map((alert) => notification(bench, 'resolved', alert, repaired)));
    note(`${name}: resolved ${ended.map(({ receivedAt }) => seconds(repaired, receivedAt)).join(' and ')} s after the repair`);
    if (inStatus) await untilStatus(bench, alerts, false);
    return {
      fault: name,
      alerts: fired.map(({ labels, annotations, receivedAt }, index) => ({
        name: nameOf(alerts[index] ?? labels),
        alert: labels,
        annotations,
        notifiedAfter: (receivedAt - broken) / 1000,
        resolvedAfter: ((ended[index]?.receivedAt ?? repaired) - repaired) / 1000,
      })),
    };
  } catch (error) {
    await repairOnce().catch(() => undefined);
    return { fault: name, alerts: [], problem: error instanceof Error ? error.message : String(error) };
  }
}

function notification(bench: Bench, status: 'firing' | 'resolved', alert: Labels, since: number) {
  return until(`a notification that ${nameOf(alert)} is ${status}`, limitMs(bench), async () =>
    firstAfter(await bench.catcher.notifications(), status, alert, since),
  );
}

/** The operator reads the alerts every 15 s. */
async function untilStatus({ env }: Bench, alerts: readonly Labels[], named: boolean): Promise<void> {
  const names = alerts.map(({ alertname = '' }) => alertname);
  await until(`status to ${named ? 'name' : 'drop'} ${names.join(', ')}`, 2 * MINUTE, async () => {
    const listed = (await env.platform.get())?.status?.alerts?.firing.map(({ name }) => name) ?? [];
    return names.every((name) => listed.includes(name) === named);
  });
}

function seconds(from: number, to: number): string {
  return ((to - from) / 1000).toFixed(0);
}
