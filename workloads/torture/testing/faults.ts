/** Faults: which ones follow from a seed, and how they are caused and undone. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../../ledger/testing/random.ts';
import { freeDisk } from '../../shared/testing/full-disk.ts';
import { waitFor } from '../../shared/testing/wait.ts';
import { ENTRY_TOPIC, LINKS, SERVICES } from './platform.ts';
import type { Link, ServiceName, TorturePlatform } from './platform.ts';

/** What fails, and for how many milliseconds. */
export type Fault =
  | { readonly kind: 'kill' | 'freeze'; readonly service: ServiceName; readonly ms: number }
  | { readonly kind: 'kafka away' | 'postgres crash' | 'postgres restart' | 'disk full' | 'pgbouncer crash'; readonly ms: number }
  | { readonly kind: 'cut' | 'silence'; readonly link: Link; readonly ms: number }
  | { readonly kind: 'lose answers'; readonly link: Link; readonly times: number }
  | { readonly kind: 'repeat entries'; readonly entries: number };

/** One hand of each kind; processes and links fail more often than servers. */
const DECK: readonly Fault['kind'][] = [
  ...(['kill', 'kill', 'kill', 'freeze', 'cut', 'cut', 'silence', 'lose answers', 'lose answers'] as const),
  ...(['kafka away', 'postgres crash', 'postgres restart', 'disk full', 'pgbouncer crash', 'repeat entries'] as const),
];

function shuffled<T>(values: readonly T[], numbers: Random): T[] {
  const rest = [...values];
  return values.map(() => rest.splice(numbers.below(rest.length), 1)[0] as T);
}

/** Faults of a round. A kind comes again only when the deck is used up. @param longestMs of one fault */
export function faultsOf(numbers: Random, count: number, longestMs: number): Fault[] {
  let deck: Fault['kind'][] = [];
  return Array.from({ length: count }, () => {
    if (deck.length === 0) deck = shuffled(DECK, numbers);
    return faultOf(deck.pop() ?? 'kill', numbers, longestMs);
  });
}

function faultOf(kind: Fault['kind'], numbers: Random, longestMs: number): Fault {
  const ms = 100 + numbers.below(longestMs);
  switch (kind) {
    case 'kill':
    case 'freeze':
      return { kind, service: numbers.pick(SERVICES), ms };
    case 'cut':
    case 'silence':
      return { kind, link: numbers.pick(LINKS), ms };
    case 'lose answers':
      return { kind, link: numbers.pick(LINKS), times: 1 + numbers.below(5) };
    case 'repeat entries':
      return { kind, entries: 10 + numbers.below(200) };
    case 'kafka away':
    case 'postgres crash':
    case 'postgres restart':
    case 'disk full':
    case 'pgbouncer crash':
      return { kind, ms };
  }
}

/** Causes faults. Two of them overlap, unless they are of the same process, server or connection. */
export class FaultInjector {
  readonly #platform: TorturePlatform;
  readonly #numbers: Random;
  readonly #last = new Map<string, Promise<void>>();
  /** Entries that were published again. */
  repeated = 0;

  constructor(platform: TorturePlatform, numbers: Random) {
    this.#platform = platform;
    this.#numbers = numbers;
  }

  /** Causes a fault; resolves when it is over. */
  inject(fault: Fault): Promise<void> {
    const target = targetOf(fault);
    const over = (this.#last.get(target) ?? Promise.resolve()).then(() => this.#cause(fault));
    this.#last.set(target, over);
    // The round reports a fault that could not be caused when it ends: until then it is no unhandled rejection.
    over.catch(() => undefined);
    return over;
  }

  async #cause(fault: Fault): Promise<void> {
    const { servers, links } = this.#platform;
    switch (fault.kind) {
      case 'kill':
        return this.#kill(fault.service, fault.ms);
      case 'freeze':
        return this.#freeze(fault.service, fault.ms);
      case 'kafka away':
        return restarted(
          () => servers.kafka.kill(),
          fault.ms,
          () => servers.kafka.start(),
        );
      case 'postgres crash':
        return restarted(
          () => servers.postgres.kill(),
          fault.ms,
          () => servers.postgres.start(),
        );
      case 'postgres restart':
        return servers.postgres.restart();
      case 'disk full':
        return restarted(
          () => servers.postgres.disk?.fill(),
          fault.ms,
          () => freeDisk(servers.postgres, () => this.#platform.sql('SELECT')),
        );
      case 'pgbouncer crash':
        return restarted(
          () => servers.pgbouncer.kill(),
          fault.ms,
          () => servers.pgbouncer.start(),
        );
      case 'cut':
        return restarted(
          () => links[fault.link].cut(),
          fault.ms,
          () => links[fault.link].restore(),
        );
      case 'silence':
        return restarted(
          () => links[fault.link].silence(),
          fault.ms,
          () => links[fault.link].restore(),
        );
      case 'lose answers':
        return void links[fault.link].dropAnswers(() => true, fault.times);
      case 'repeat entries':
        return this.#repeat(fault.entries);
    }
  }

  async #kill(service: ServiceName, ms: number): Promise<void> {
    await this.#platform.process(service).end('SIGKILL');
    await pause(ms);
    await this.#platform.launch(service);
  }

  async #freeze(service: ServiceName, ms: number): Promise<void> {
    this.#platform.process(service).signal('SIGSTOP');
    await pause(ms);
    this.#platform.process(service).signal('SIGCONT');
  }

  /** Publishes copies of entries once more, the later ones first, as delayed copies of a producer. Half of them are the last of their account. */
  async #repeat(count: number): Promise<void> {
    await waitFor('copies of entries to be published', async () => {
      const records = await this.#platform.records(ENTRY_TOPIC);
      const last = [...new Map(records.map(({ key }, index) => [String(key), index])).values()];
      const any = (): number => this.#numbers.below(records.length);
      const chosen = Array.from({ length: count }, () => (this.#numbers.below(2) === 0 ? this.#numbers.pick(last) : any()));
      const copies = chosen.toSorted((one, other) => other - one).flatMap((index) => records[index] ?? []);
      await this.#platform.producer.send(ENTRY_TOPIC, () => copies);
      this.repeated += copies.length;
      return true;
    });
  }
}

async function restarted(stop: () => Promise<void> | undefined | void, ms: number, start: () => Promise<void> | void): Promise<void> {
  await stop();
  await pause(ms);
  await start();
}

/** Faults of one target follow one another. Copies of entries need Kafka. */
function targetOf(fault: Fault): string {
  switch (fault.kind) {
    case 'kill':
    case 'freeze':
      return fault.service;
    case 'cut':
    case 'silence':
    case 'lose answers':
      return fault.link;
    case 'kafka away':
    case 'repeat entries':
      return 'kafka';
    case 'postgres crash':
    case 'postgres restart':
    case 'disk full':
      return 'postgres';
    case 'pgbouncer crash':
      return 'pgbouncer';
  }
}
