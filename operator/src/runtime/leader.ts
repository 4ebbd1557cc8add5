/**
 * Leader election by a Lease, with fencing.
 *
 * Three durations, all measured from the start of a successful renewal, keep two leaders from writing at once:
 * - The leader may send writes until `renewDeadlineMs`, each with a server-side timeout of `leaseMs - renewDeadlineMs`.
 * - So none of its writes can take effect after `leaseMs`.
 * - A follower waits `leaseMs` from the last change of the Lease that it saw, which is later than the start of that renewal.
 * Only durations on each process's own monotonic clock count, never the times in the Lease, so clocks may differ. A leader that was suspended
 * (SIGSTOP, a sleeping machine) finds its deadline exceeded at its first write after it resumes.
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
  /** Not fenced: the elector writes the Lease itself. */
  client: KubeClient;
  metrics: Metrics;
  logger: Logger;
  /** Of the Lease. */
  namespace: string;
  /** Of the Lease. */
  name: string;
  /** Of this replica: the pod's name and a suffix that differs after each restart. */
  identity: string;
  clock?: Clock;
  /** A follower takes over when the Lease has not changed for this long. Default 15 s. */
  leaseMs?: number;
  /** A leader that has not renewed the Lease for this long stops. Default 10 s. */
  renewDeadlineMs?: number;
  /** Interval between attempts to acquire or renew. Default 2 s. */
  retryMs?: number;
}

/** The fence refused a write because this replica is not the leader, or no longer is. */
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

type State = 'following' | 'leading' | 'stopped';

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
  /** The Lease as last read or written, and when this replica first saw that version. */
  #seen: { lease: Lease; at: number } | undefined;
  /** Start of the last successful renewal. */
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
    this.#transitions = metrics.counter('bss_operator_leader_transitions_total', 'Times this replica gained or lost leadership.', [
      'lease',
    ]);
    this.#leaders.set({ lease: name }, 0);
    this.#transitions.inc({ lease: name }, 0);
    // The promise reports a stop before leadership; a caller that does not wait must not cause an unhandled rejection.
    this.#won.promise.catch(() => undefined);
  }

  /** Aborts when leadership is lost or released. It is not regained: the process should exit and be restarted. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get leading(): boolean {
    return this.#state === 'leading' && this.#leftMs() > 0;
  }

  /** For `client.fenced`. @throws NotLeadingError */
  readonly fence: Fence = () => {
    if (this.#state === 'leading' && this.#leftMs() <= 0)
      this.#lose(`the lease was not renewed for ${Math.round(this.#renewDeadlineMs - this.#leftMs())} ms`);
    if (this.#state !== 'leading') throw new NotLeadingError(`${this.#options.identity} does not hold the lease ${this.#options.name}`);
    return this.#leaseMs - this.#renewDeadlineMs;
  };

  /** Starts attempts to acquire the Lease. */
  start(): void {
    if (this.#state === 'following' && !this.#attempt) this.#tick();
  }

  /** Resolves when this replica leads. @throws NotLeadingError when the elector stops first */
  waitForLeadership(): Promise<void> {
    return this.#won.promise;
  }

  /** Releases the Lease, so that another replica can take over at once. All writers must have stopped before. */
  async stop(): Promise<void> {
    const held = this.leading;
    this.#end('shutting down');
    await this.#attempt;
    if (held) await this.#release();
  }

  /** Milliseconds until the renew deadline, during which writes may be sent. */
  #leftMs(): number {
    return this.#renewedAt + this.#renewDeadlineMs - this.#clock.monotonic();
  }

  #tick(): void {
    this.#attempt = this.#attemptAndReschedule();
  }

  async #attemptAndReschedule(): Promise<void> {
    await this.#attemptOnce();
    if (this.#state === 'stopped') return;
    // Jitter spreads the requests of followers; a leader must not be late.
    const wait =
      this.#state === 'leading'
        ? Math.min(this.#retryMs, this.#leftMs())
        : Math.min(this.#retryMs, this.#untilExpiryMs()) * (1 + 0.1 * Math.random());
    this.#cancelTimer = this.#clock.after(wait, () => this.#tick());
  }

  /** Milliseconds until the Lease expires unless it is renewed; at least a few, so that failed attempts do not spin. */
  #untilExpiryMs(): number {
    if (!this.#seen) return this.#retryMs;
    const left = this.#seen.at + this.#durationOf(this.#seen.lease) - this.#clock.monotonic();
    return left < 0 ? this.#retryMs : left + 20;
  }

  /** One attempt to acquire or renew. Failures are logged; only the renew deadline ends leadership. */
  async #attemptOnce(): Promise<void> {
    const begun = this.#clock.monotonic();
    if (this.#state === 'leading' && this.#leftMs() <= 0) return this.#lose('the renew deadline has passed');
    try {
      await (this.#state === 'leading' ? this.#renew(begun) : this.#acquire(begun));
    } catch (error) {
      this.#logger.warn({ error }, this.#state === 'leading' ? 'cannot renew the lease' : 'cannot acquire the lease');
    }
    if (this.#state === 'leading' && this.#leftMs() <= 0) this.#lose('the renew deadline has passed');
  }

  /** Half of the renew deadline, so that a leader can retry before it. */
  #timeoutMs(): number {
    const half = this.#renewDeadlineMs / 2;
    return Math.max(1, this.#state === 'leading' ? Math.min(half, this.#leftMs()) : half);
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
    // Another client changed the Lease: read the current holder.
    const lease = await this.#read();
    if (lease && holderOf(lease) === this.#options.identity) return this.#hold(await this.#write(lease, {}), begun);
    this.#lose(lease ? `the lease is held by ${holderOf(lease) || 'nobody'}` : 'the lease was deleted');
  }

  async #acquire(begun: number): Promise<void> {
    const lease = await this.#read();
    if (!lease) return this.#deletedUnderHolder() ? undefined : this.#create(begun);
    const holder = holderOf(lease);
    const unchangedMs = this.#clock.monotonic() - this.#observe(lease);
    if (holder !== '' && unchangedMs <= this.#durationOf(lease)) return;
    const transitions = (lease.spec?.leaseTransitions ?? 0) + 1;
    try {
      // The resourceVersion in the object makes this a compare-and-swap: one of several followers wins.
      this.#hold(await this.#write(lease, { acquireTime: this.#timestamp(), leaseTransitions: transitions }), begun);
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
  }

  /** The Lease was deleted while it was held. Its holder may not know yet and may write until its lease duration is over. */
  #deletedUnderHolder(): boolean {
    if (!this.#seen || holderOf(this.#seen.lease) === '') return false;
    return this.#clock.monotonic() - this.#seen.at <= this.#durationOf(this.#seen.lease);
  }

  /** Lease duration to wait for: the holder's may be longer than ours during an upgrade that changes it. */
  #durationOf(lease: Lease): number {
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

  /** When this replica first saw this version of the Lease. */
  #observe(lease: Lease): number {
    if (this.#seen?.lease.metadata.resourceVersion !== lease.metadata.resourceVersion) this.#seen = { lease, at: this.#clock.monotonic() };
    return this.#seen?.at ?? this.#clock.monotonic();
  }

  #hold(lease: Lease, begun: number): void {
    this.#seen = { lease, at: this.#clock.monotonic() };
    if (this.#state === 'stopped') return;
    this.#renewedAt = begun;
    if (this.#state === 'leading') return;
    this.#state = 'leading';
    this.#leaders.set({ lease: this.#options.name }, 1);
    this.#transitions.inc({ lease: this.#options.name });
    this.#logger.info('acquired the lease');
    this.#won.resolve();
  }

  #lose(reason: string): void {
    if (this.#state !== 'leading') return;
    this.#logger.error({ reason }, 'lost the lease');
    this.#transitions.inc({ lease: this.#options.name });
    this.#end(reason);
  }

  #end(reason: string): void {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#cancelTimer();
    this.#leaders.set({ lease: this.#options.name }, 0);
    this.#won.reject(new NotLeadingError(`leader election has stopped: ${reason}`));
    this.#lost.abort(new NotLeadingError(reason));
  }

  async #release(): Promise<void> {
    const lease = this.#seen?.lease;
    if (!lease || holderOf(lease) !== this.#options.identity) return;
    try {
      await this.#write(lease, { holderIdentity: '', leaseDurationSeconds: 1 });
      this.#logger.info('released the lease');
    } catch (error) {
      this.#logger.warn({ error }, 'could not release the lease; another replica takes over when it expires');
    }
  }
}

function holderOf(lease: Lease): string {
  return lease.spec?.holderIdentity ?? '';
}
