/** One round: load and faults that follow from a seed, then the invariants. */
import { random } from '../../ledger/testing/random.ts';
import { waitFor } from '../../shared/testing/wait.ts';
import { FaultInjector, faultsOf, type Fault } from './faults.ts';
import { verify, type StateFigures } from './invariants.ts';
import { Load, type Account, type LoadFigures, type Promised } from './load.ts';
import { SERVICES, TorturePlatform } from './platform.ts';

/** Final answers between the beginnings of two faults; a fault that prevents answers delays the next one for a time. */
const CALM = 15;
const CALM_LIMIT_MS = 2_000;
const ACCOUNTS = 30;

export interface RoundOptions {
  readonly faults: number;
  /** Of one fault. */
  readonly longestMs: number;
}

export interface RoundFigures {
  readonly seed: number;
  readonly seconds: number;
  readonly faults: Record<string, number>;
  readonly load: LoadFigures;
  /** Of all rounds so far. */
  readonly state: StateFigures & { repeatedOnPurpose: number };
}

/** A platform for several rounds. */
export class Torture {
  readonly platform: TorturePlatform;
  readonly #accounts: readonly Account[];
  readonly #promised: Promised[] = [];
  #repeated = 0;

  private constructor(platform: TorturePlatform, accounts: readonly Account[]) {
    this.platform = platform;
    this.#accounts = accounts;
  }

  static async start(): Promise<Torture> {
    const platform = await TorturePlatform.start(ACCOUNTS);
    await platform.sql(`INSERT INTO account (id, kind, currency) SELECT 'bank.' || code, 'internal', code FROM currency`);
    return new Torture(platform, await platform.sql<Account>(`SELECT id, currency FROM account WHERE kind = 'customer' ORDER BY id`));
  }

  /** @throws Error that names the seed, the faults and what does not hold */
  async round(seed: number, options: RoundOptions): Promise<RoundFigures> {
    const faults = faultsOf(random(seed), options.faults, options.longestMs);
    try {
      return await this.#round(seed, faults);
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      throw new Error(`SEED=${seed} fails: ${cause}\nfaults: ${JSON.stringify(faults)}\n${this.#logs()}`, { cause: error });
    }
  }

  async #round(seed: number, faults: Fault[]): Promise<RoundFigures> {
    const startedAt = performance.now();
    const name = `round${this.#promised.length}-${seed}`;
    const load = new Load(this.platform, this.#accounts, name, seed);
    this.#promised.push(load.promised);
    load.start();
    try {
      await this.#inject(faults, seed, load);
      await this.platform.ready();
      await load.stop();
    } finally {
      load.abandon();
    }
    await this.platform.drained();
    const state = await verify(this.platform, name, load.promised, this.#promised);
    this.platform.assertSound();
    const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
    return { seed, seconds, faults: counted(faults), load: load.figures, state: { ...state, repeatedOnPurpose: this.#repeated } };
  }

  /** Causes the faults under load; resolves when all of them are over. */
  async #inject(faults: Fault[], seed: number, load: Load): Promise<void> {
    const injector = new FaultInjector(this.platform, random(seed + 300));
    const over: Promise<void>[] = [];
    for (const fault of faults) {
      const target = load.answered + CALM;
      await waitFor('answers', () => load.answered >= target, CALM_LIMIT_MS).catch(() => undefined);
      over.push(injector.inject(fault));
    }
    // All of them, so that no server starts after the end of a failed round.
    const failed = (await Promise.allSettled(over)).find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
    this.#repeated += injector.repeated;
  }

  /** The last warnings and errors of each service. */
  #logs(): string {
    const worst = (log: string): string[] => log.split('\n').filter((line) => /"level":"(warn|error|fatal)"/.test(line));
    return SERVICES.flatMap((name) => worst(this.platform.process(name).log).slice(-5)).join('\n');
  }

  stop(): Promise<void> {
    return this.platform.stop();
  }
}

function counted(faults: readonly Fault[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of faults) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
