/**
 * One cluster with the demo's platform for the end-to-end tests. A file that is run alone brings up a cluster of its own and takes it down;
 * files that run one after the other share the one that `E2E_CLUSTER` names, and who set the variable takes it down.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { Gateway, isReady, missing, PlatformResource, until, type LedgerCheck } from '../../local/src/demo/platform.ts';
import { installOperator } from '../../local/src/target/install.ts';
import type { Kubectl } from '../../local/src/target/kubectl.ts';
import { LocalTarget } from '../../local/src/target/local.ts';
import { adaptManifest, describeSwitchedOff } from '../../local/src/target/manifest.ts';
import { bringUpWithStack } from '../../local/src/target/target.ts';

export const NAMESPACE = 'bss';
export const PLATFORM = 'demo';
export const OPERATOR_NAMESPACE = 'bss-system';
export const OPERATOR = 'app.kubernetes.io/name=bss-operator';
export const MINUTE = 60_000;

const EXAMPLE = new URL('../../examples/demo.yaml', import.meta.url);
const SHARED = process.env['E2E_CLUSTER'];

/** Selects the pods of a component of the platform. */
export function component(name: string): string {
  return `app.kubernetes.io/instance=${PLATFORM},app.kubernetes.io/name=${name}`;
}

/** The platform of `examples/demo.yaml` without crm, Ready, and hands on everything that a test reads or breaks. */
export class Environment {
  readonly target: LocalTarget;
  readonly kubectl: Kubectl;
  readonly platform: PlatformResource;
  readonly gateway: Gateway;

  private constructor(target: LocalTarget, kubectl: Kubectl, platform: PlatformResource, gateway: Gateway) {
    this.target = target;
    this.kubectl = kubectl;
    this.platform = platform;
    this.gateway = gateway;
  }

  /** Brings up what is missing of cluster, operator and platform. Takes it down again where that fails. */
  static async start(): Promise<Environment> {
    const target = new LocalTarget(SHARED ?? `e2e-${process.pid}`);
    if (SHARED === undefined) endWhenInterrupted(target);
    try {
      return await Environment.#startOn(target);
    } catch (error) {
      if (SHARED === undefined) await target.down();
      throw error;
    }
  }

  static async #startOn(target: LocalTarget): Promise<Environment> {
    await bringUpWithStack(target);
    await installOperator(target);
    const kubectl = await target.kubectl();
    const platform = new PlatformResource(kubectl, NAMESPACE, PLATFORM);
    const applied = Date.now();
    const { text, switchedOff } = adaptManifest(await readFile(EXAMPLE, 'utf8'), { tag: undefined, unavailable: target.unavailable() });
    for (const line of describeSwitchedOff(switchedOff)) console.log(line);
    await kubectl.run(['apply', '-f', '-'], { input: withoutCrm(text) });
    await waitReady(platform, 4 * MINUTE);
    console.log(`Ready ${secondsSince(applied)} s after apply`);
    const gateway = new Gateway(await target.forward(NAMESPACE, `${PLATFORM}-gateway`, 8080), () => platform.credential('api-key'));
    await until('the ledger to answer', MINUTE, () => gateway.ledgerCheck());
    return new Environment(target, kubectl, platform, gateway);
  }

  /** Takes the cluster down unless others still use it. */
  async end(): Promise<void> {
    if (SHARED === undefined) await this.target.down();
  }

  waitReady(timeoutMs: number): Promise<void> {
    return waitReady(this.platform, timeoutMs);
  }

  /** What a fault took away is back: the pods by their own controllers, then the platform by its status. */
  async untilWhole(): Promise<void> {
    for (const object of ['statefulset/demo-kafka', 'statefulset/demo-postgres', 'deployment/demo-interest', 'deployment/demo-gateway'])
      await this.kubectl.run(['rollout', 'status', object, '-n', NAMESPACE, '--timeout=120s']);
    await this.waitReady(2 * MINUTE);
  }

  /** The ledger as soon as it holds `accepted` events more than at `start`. */
  untilApplied(start: LedgerCheck, accepted: number): Promise<LedgerCheck> {
    return until(
      `${accepted} events to be applied`,
      5 * MINUTE,
      async () => {
        const check = await this.gateway.ledgerCheck();
        return check.transactions - start.transactions >= accepted ? check : undefined;
      },
      1000,
    );
  }

  /** Changes the interest consumer by a merge patch (null takes a field away) and waits until the platform has followed. */
  async setInterest(interest: object): Promise<void> {
    const patch = JSON.stringify({ spec: { workloads: { interest } } });
    await this.kubectl.run(['patch', 'bss', PLATFORM, '-n', NAMESPACE, '--type=merge', '-p', patch]);
    await this.waitReady(2 * MINUTE);
  }

  /** Ends pods' processes at once, as a crash of their machine would. */
  async killPods(namespace: string, selector: string): Promise<void> {
    await this.kubectl.run(['delete', 'pod', '-n', namespace, '-l', selector, '--grace-period=0', '--force', '--wait=false']);
  }
}

/** A person who interrupts a run does not have its cluster afterwards. */
function endWhenInterrupted(target: LocalTarget): void {
  const end = (): void => {
    console.error('interrupted: the cluster is removed');
    void target.down().finally(() => process.exit(130));
  };
  process.once('SIGINT', end).once('SIGTERM', end);
}

/** Tests of the BSS APIs switch crm on: the others leave the two processors to what they measure. @param text JSON of a List */
function withoutCrm(text: string): string {
  const list = JSON.parse(text) as { items: { kind: string; spec?: { workloads?: object } }[] };
  for (const { kind, spec } of list.items)
    if (kind === 'BssPlatform' && spec !== undefined) spec.workloads = { ...spec.workloads, crm: { enabled: false } };
  return JSON.stringify(list);
}

async function waitReady(platform: PlatformResource, timeoutMs: number): Promise<void> {
  try {
    await until('Ready', timeoutMs, async () => isReady(await platform.get()));
  } catch (error) {
    const state = await platform.kubectl.run(['get', 'pods,events', '-A']).catch(String);
    throw new Error(`not Ready: ${missing(await platform.get()).join('; ')}\n${state}`, { cause: error });
  }
}

/** The books are right, and no event was applied twice. */
export function assertSound(check: LedgerCheck): void {
  assert.deepEqual(
    {
      sum: check.sumMinor,
      unbalanced: check.unbalancedTransactions,
      mismatches: check.balanceMismatches,
      ok: check.ok,
    },
    { sum: '0', unbalanced: 0, mismatches: 0, ok: true },
  );
}

/** Seconds since an instant of `Date.now()`, with one decimal. */
export function secondsSince(at: number): string {
  return ((Date.now() - at) / 1000).toFixed(1);
}
