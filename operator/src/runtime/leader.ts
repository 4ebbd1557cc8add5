/**
 * Leader election by a Lease, with fencing.
 *
 * Three times keep two leaders apart, all measured from the moment a successful renewal was begun:
 * - until `renewDeadlineMs` the leader may send writes, each with a server-side limit of `leaseMs - renewDeadlineMs`;
 * - so at `leaseMs` none of its writes can take effect any more;
 * - a follower waits for `leaseMs` from when it saw the Lease change last, which is after the renewal was begun.
 * Only durations on each process's own monotonic clock count, never the times in the Lease, so that clocks may differ. A leader that was stopped
 * (SIGSTOP, a sleeping machine) finds its time run out at the first write after it goes on.
 */
import { systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import type { KubeClient } from './client.ts';
import { isAlreadyExists, isConflict } from './errors.ts';
import type { Logger } from './logger.ts';
import type { Counter, Gauge, Metrics } from './metrics.ts';
import type { KubernetesObject } from '../objects/object.ts';
import type { Fence } from './transport.ts';

export interface LeaderElectorOptions {
  /** Without fence: it writes the Lease itself. */
  client: KubeClient;
  metrics: Metrics;
  logger: Logger;
  /** Of the Lease. */
  namespace: string;
  /** Of the Lease. */
  name: string;
  /** Of this replica: the pod's name and something that tells restarts apart. */
  identity: string;
  clock?: Clock;
  /** A follower takes over when the Lease has not changed for so long. Default 15 s. */
  leaseMs?: number;
  /** A leader that has not renewed for so long stops. Default 10 s. */
  renewDeadlineMs?: number;
  /** Between two attempts to acquire or renew. Default 2 s. */
  retryMs?: number;
}

/** A write was refused because this replica is not, or no longer, the leader. */
export class NotLeadingError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NotLeadingError';
  }
}

interface Lease extends KubernetesObject {
  spec?: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

type State = 'following' | 'leading' | 'over';

export class LeaderElector {
  readonly #options: LeaderElectorOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #leaseMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryMs: number;
  readonly #lost = new AbortController();
  readonly #won = Promise.withResolvers<void>();
  readonly #leaders: Gauge<'lease'>;
  readonly #transitions: Counter<'lease'>;
  #state: State = 'following';
  /** The Lease as last read or written, and when it was first seen in this version. */
  #seen: { lease: Lease; at: number } | undefined;
  /** When the last successful renewal was begun. */
  #renewedAt = Number.NEGATIVE_INFINITY;
  #cancelTimer: () => void = () => undefined;
  #attempt: Promise<void> | undefined;

  constructor(options: LeaderElectorOptions) {
    const { metrics, logger, name, clock = systemClock, leaseMs = 15_000, renewDeadlineMs = 10_000, retryMs = 2_000 } = options;
    if (!(retryMs < renewDeadlineMs && renewDeadlineMs < leaseMs)) {
      throw new Error(`leader election needs retry < renew deadline < lease, got ${retryMs}, ${renewDeadlineMs}, ${leaseMs} ms`);
    }
    this.#options = options;
    this.#clock = clock;
    this.#logger = logger.child({ lease: name, identity: options.identity });
    this.#leaseMs = leaseMs;
    this.#renewDeadlineMs = renewDeadlineMs;
    this.#retryMs = retryMs;
    this.#leaders = metrics.gauge('bss_operator_leader', '1 while this replica leads.', ['lease']);
    this.#transitions = metrics.counter('bss_operator_leader_transitions_total', 'Times this replica gained or lost the lead.', ['lease']);
    this.#leaders.set({ lease: name }, 0);
    this.#transitions.inc({ lease: name }, 0);
    // Whoever stops before winning is told through the promise; nobody has to listen.
    this.#won.promise.catch(() => undefined);
  }

  /** Aborted when the lead is lost or given up. It does not come back: the process should end and start anew. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get leading(): boolean {
    return this.#state === 'leading' && this.#leftMs() > 0;
  }

  /** For `client.fenced`. @throws NotLeadingError */
  readonly fence: Fence = () => {
    if (this.#state === 'leading' && this.#leftMs() <= 0)
      this.#lose(`not renewed for ${Math.round(this.#renewDeadlineMs - this.#leftMs())} ms`);
    if (this.#state !== 'leading') throw new NotLeadingError(`${this.#options.identity} does not hold the lease ${this.#options.name}`);
    return this.#leaseMs - this.#renewDeadlineMs;
  };

  /** Begins to try. */
  start(): void {
    if (this.#state === 'following' && !this.#attempt) this.#tick();
  }

  /** Resolves when this replica leads. @throws NotLeadingError when it was stopped before */
  waitForLeadership(): Promise<void> {
    return this.#won.promise;
  }

  /** Gives the Lease up, so that another may take over at once. Whoever writes must have stopped before. */
  async stop(): Promise<void> {
    const held = this.leading;
    this.#end('stopped');
    await this.#attempt;
    if (held) await this.#release();
  }

  /** Milliseconds for which writes may still be sent. */
  #leftMs(): number {
    return this.#renewedAt + this.#renewDeadlineMs - this.#clock.monotonic();
  }

  #tick(): void {
    this.#attempt = this.#tryAndPlanNext();
  }

  async #tryAndPlanNext(): Promise<void> {
    await this.#try();
    if (this.#state === 'over') return;
    // Some spread keeps followers from asking in step; a leader must not be late.
    const wait =
      this.#state === 'leading'
        ? Math.min(this.#retryMs, this.#leftMs())
        : Math.min(this.#retryMs, this.#untilFreeMs()) * (1 + 0.1 * Math.random());
    this.#cancelTimer = this.#clock.after(wait, () => this.#tick());
  }

  /** When the Lease will run out if nobody renews it; at least some milliseconds, so that failed attempts do not follow at once. */
  #untilFreeMs(): number {
    if (!this.#seen) return this.#retryMs;
    const left = this.#seen.at + this.#patienceWith(this.#seen.lease) - this.#clock.monotonic();
    return left < 0 ? this.#retryMs : left + 20;
  }

  /** One attempt to acquire or renew. Failures are logged; the deadline decides what they mean. */
  async #try(): Promise<void> {
    const begun = this.#clock.monotonic();
    if (this.#state === 'leading' && this.#leftMs() <= 0) return this.#lose('the renew deadline has passed');
    try {
      await (this.#state === 'leading' ? this.#renew(begun) : this.#acquire(begun));
    } catch (error) {
      this.#logger.warn({ error }, this.#state === 'leading' ? 'cannot renew the lease' : 'cannot acquire the lease');
    }
    if (this.#state === 'leading' && this.#leftMs() <= 0) this.#lose('the renew deadline has passed');
  }

  /** The answer must come in time to be of use; a leader that waits longer could not try again. */
  #timeoutMs(): number {
    const patience = this.#renewDeadlineMs / 2;
    return Math.max(1, this.#state === 'leading' ? Math.min(patience, this.#leftMs()) : patience);
  }

  async #renew(begun: number): Promise<void> {
    const held = this.#seen?.lease;
    if (held) {
      try {
        return this.#hold(await this.#write(held, {}), begun);
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
    }
    // Someone changed it: read who holds it now.
    const lease = await this.#read();
    if (lease && holderOf(lease) === this.#options.identity) return this.#hold(await this.#write(lease, {}), begun);
    this.#lose(lease ? `held by ${holderOf(lease) || 'nobody'}` : 'the lease was deleted');
  }

  async #acquire(begun: number): Promise<void> {
    const lease = await this.#read();
    if (!lease) return this.#deletedUnderHolder() ? undefined : this.#create(begun);
    const holder = holderOf(lease);
    const unchangedMs = this.#clock.monotonic() - this.#observe(lease);
    if (holder !== '' && unchangedMs <= this.#patienceWith(lease)) return;
    const transitions = (lease.spec?.leaseTransitions ?? 0) + 1;
    try {
      // The version in the object makes this a compare-and-swap: of several followers one wins.
      this.#hold(await this.#write(lease, { acquireTime: this.#timestamp(), leaseTransitions: transitions }), begun);
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
  }

  /** Someone deleted a Lease that was held: its holder may not know yet, and has the rest of its time. */
  #deletedUnderHolder(): boolean {
    if (!this.#seen || holderOf(this.#seen.lease) === '') return false;
    return this.#clock.monotonic() - this.#seen.at <= this.#patienceWith(this.#seen.lease);
  }

  /** The holder may run with a longer lease than ours, during an upgrade that changes it. */
  #patienceWith(lease: Lease): number {
    return Math.max(this.#leaseMs, (lease.spec?.leaseDurationSeconds ?? 0) * 1000);
  }

  async #create(begun: number): Promise<void> {
    const { namespace, name } = this.#options;
    const time = this.#timestamp();
    const lease: Lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { namespace, name },
      spec: this.#spec({ acquireTime: time }),
    };
    try {
      this.#hold(await this.#options.client.create(lease, { timeoutMs: this.#timeoutMs() }), begun);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }

  #read(): Promise<Lease | undefined> {
    const { client, namespace, name } = this.#options;
    return client.find<Lease>({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', namespace, name }, { timeoutMs: this.#timeoutMs() });
  }

  #write(lease: Lease, change: Lease['spec'] & object): Promise<Lease> {
    const { uid, resourceVersion } = lease.metadata;
    const { namespace, name, client } = this.#options;
    const metadata = { namespace, name, ...(uid ? { uid } : {}), ...(resourceVersion ? { resourceVersion } : {}) };
    return client.replace<Lease>({ ...lease, metadata, spec: { ...lease.spec, ...this.#spec(change) } }, { timeoutMs: this.#timeoutMs() });
  }

  #spec(change: Lease['spec'] & object): Lease['spec'] & object {
    const leaseDurationSeconds = Math.ceil(this.#leaseMs / 1000);
    return { holderIdentity: this.#options.identity, leaseDurationSeconds, renewTime: this.#timestamp(), ...change };
  }

  #timestamp(): string {
    return new Date(this.#clock.now()).toISOString().replace('Z', '000Z');
  }

  /** When this replica first saw the Lease in this version. */
  #observe(lease: Lease): number {
    if (this.#seen?.lease.metadata.resourceVersion !== lease.metadata.resourceVersion) this.#seen = { lease, at: this.#clock.monotonic() };
    return this.#seen?.at ?? this.#clock.monotonic();
  }

  #hold(lease: Lease, begun: number): void {
    this.#seen = { lease, at: this.#clock.monotonic() };
    if (this.#state === 'over') return;
    this.#renewedAt = begun;
    if (this.#state === 'leading') return;
    this.#state = 'leading';
    this.#leaders.set({ lease: this.#options.name }, 1);
    this.#transitions.inc({ lease: this.#options.name });
    this.#logger.info('leading');
    this.#won.resolve();
  }

  #lose(reason: string): void {
    if (this.#state !== 'leading') return;
    this.#logger.error({ reason }, 'lost the lead');
    this.#transitions.inc({ lease: this.#options.name });
    this.#end(reason);
  }

  #end(reason: string): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#cancelTimer();
    this.#leaders.set({ lease: this.#options.name }, 0);
    this.#won.reject(new NotLeadingError(`leader election is over: ${reason}`));
    this.#lost.abort(new NotLeadingError(reason));
  }

  async #release(): Promise<void> {
    const lease = this.#seen?.lease;
    if (!lease || holderOf(lease) !== this.#options.identity) return;
    try {
      await this.#write(lease, { holderIdentity: '', leaseDurationSeconds: 1 });
      this.#logger.info('gave up the lead');
    } catch (error) {
      this.#logger.warn({ error }, 'could not give up the lease; another takes over when it runs out');
    }
  }
}

function holderOf(lease: Lease): string {
  return lease.spec?.holderIdentity ?? '';
}
