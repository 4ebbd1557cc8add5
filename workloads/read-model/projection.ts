import type { LedgerEntry } from '../shared/contracts/ledger-entry.ts';
import { comparePositions, Rollback, transactionOutcome } from '../shared/kernel/consumer/effects.ts';
import type { Apply, BlockedPartition } from '../shared/kernel/consumer/effects.ts';
import type { Positions } from '../shared/kernel/consumer/positions.ts';
import type { Range, Slice } from '../shared/kernel/consumer/slice.ts';
import type { Postgres, Queryable } from '../shared/kernel/postgres.ts';

/** An entry with the partition that it came from. */
interface Placed {
  event: LedgerEntry;
  partition: number;
  offset: bigint;
}

/** An account whose next posting is missing. */
interface Gap {
  accountId: string;
  /** Sequence of the last projected posting; 0: none. */
  known: string;
  /** First sequence that arrives although the one before it is neither projected nor part of the slice. */
  next: string;
}

interface Projected {
  fresh: number;
  /** Places, from 1, of the entries that were new; null: all of them. */
  places: number[] | null;
  gaps: Gap[] | null;
}

export interface ProjectionParts {
  database: Postgres;
  positions: Positions;
  /** The generation to write to; undefined: the one that serves. */
  generation?: number;
  /** First offset that a partition of the topic holds now. */
  firstOffset: (partition: number) => Promise<bigint>;
  /** Called after the commit with the entries that were new. */
  onProjected: (entries: LedgerEntry[]) => void;
}

/**
 * One statement for a whole slice. It inserts the lines whose sequence is above that of their account, whatever their order in the slice, and
 * moves the balances to the last of them. Entries that were projected before have no effect. Where a sequence is missing, it returns the
 * account, and the caller rolls back.
 */
const PROJECT = `
WITH target AS (SELECT slot FROM generation WHERE CASE WHEN $1::int IS NULL THEN state = 'serving' ELSE number = $1 AND state = 'building' END),
incoming AS (
  SELECT * FROM unnest($2::text[], $3::bigint[], $4::uuid[], $5::smallint[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::bigint[],
                       $11::date[], $12::timestamptz[], $13::int[], $14::boolean[]) WITH ORDINALITY
    AS e (account_id, sequence, transaction_id, line, kind, external_id, currency, amount_minor, balance_after_minor, value_date, posted_at,
          partition, incomplete, place)),
known AS (
  SELECT a.account_id, b.sequence FROM (SELECT DISTINCT account_id FROM incoming) a CROSS JOIN target
   CROSS JOIN LATERAL (SELECT sequence FROM balance WHERE balance.slot = target.slot AND balance.account_id = a.account_id) b),
fresh AS (
  SELECT DISTINCT ON (i.account_id, i.sequence) i.*, k.sequence AS known FROM incoming i LEFT JOIN known k ON k.account_id = i.account_id
   WHERE i.sequence > coalesce(k.sequence, 0) ORDER BY i.account_id, i.sequence, i.place),
steps AS (
  SELECT account_id, sequence, coalesce(known, 0) AS known, incomplete AND known IS NULL AS may_begin_later,
         lag(sequence) OVER (PARTITION BY account_id ORDER BY sequence) AS previous FROM fresh),
gaps AS (
  SELECT account_id, known, min(sequence) AS next FROM steps
   WHERE sequence <> coalesce(previous, CASE WHEN may_begin_later THEN sequence - 1 ELSE known END) + 1 GROUP BY account_id, known),
lines AS (
  INSERT INTO statement_line (slot, account_id, sequence, transaction_id, line, kind, external_id, currency, amount_minor, balance_after_minor,
                              value_date, posted_at)
  SELECT t.slot, f.account_id, f.sequence, f.transaction_id, f.line, f.kind, f.external_id, f.currency, f.amount_minor, f.balance_after_minor,
         f.value_date, f.posted_at FROM fresh f CROSS JOIN target t ORDER BY f.account_id, f.sequence RETURNING 1),
balances AS (
  INSERT INTO balance AS b (slot, account_id, currency, balance_minor, sequence, posted_at, partition)
  SELECT DISTINCT ON (f.account_id) t.slot, f.account_id, f.currency, f.balance_after_minor, f.sequence, f.posted_at, f.partition
    FROM fresh f CROSS JOIN target t ORDER BY f.account_id, f.sequence DESC
  ON CONFLICT (slot, account_id) DO UPDATE SET balance_minor = excluded.balance_minor, sequence = excluded.sequence,
    posted_at = excluded.posted_at, currency = excluded.currency, partition = excluded.partition)
SELECT (SELECT count(*) FROM lines)::int AS fresh,
       CASE WHEN (SELECT count(*) FROM fresh) < (SELECT count(*) FROM incoming) THEN (SELECT coalesce(array_agg(place::int), '{}') FROM fresh) END AS places,
       (SELECT json_agg(json_build_object('accountId', account_id, 'known', known::text, 'next', next::text) ORDER BY account_id) FROM gaps) AS gaps
  FROM target`;

/** Projects slices exactly once: positions are locked, compared and moved in the transaction of the projection. */
export function project(parts: ProjectionParts): Apply<LedgerEntry> {
  /** Partitions of which the topic no longer has the beginning. */
  const incomplete = new Set<number>();
  return async (slice) => {
    for (;;) {
      const outcome = await attempt(parts, slice, incomplete);
      if (outcome.kind !== 'blocked' || !(await findIncomplete(parts, outcome.partitions, incomplete))) return outcome;
    }
  };
}

function attempt(
  { database, positions, generation, onProjected }: ProjectionParts,
  slice: Slice<LedgerEntry>,
  incomplete: ReadonlySet<number>,
) {
  const placed = slice.flatMap(acceptedOf);
  let fresh: LedgerEntry[] = [];
  return transactionOutcome(database, async (tx) => {
    const partitions = slice.map(({ partition }) => partition);
    comparePositions(slice, await positions.lock(tx, partitions));
    const result = await write(tx, generation, placed, incomplete);
    if (result.gaps !== null) throw new Rollback({ kind: 'blocked', partitions: blocked(result.gaps, placed) });
    await positions.move(tx, slice);
    fresh = result.places === null ? placed.map(({ event }) => event) : result.places.flatMap((place) => placed[place - 1]?.event ?? []);
    return { kind: 'applied', events: result.fresh, duplicates: placed.length - result.fresh };
  }).then((outcome) => {
    if (outcome.kind === 'applied') onProjected(fresh);
    return outcome;
  });
}

function acceptedOf({ partition, entries }: Range<LedgerEntry>): Placed[] {
  return entries.flatMap(({ event, rejection, record }) =>
    event === undefined || rejection !== undefined ? [] : [{ event, partition, offset: record.offset }],
  );
}

async function write(tx: Queryable, generation: number | undefined, placed: Placed[], incomplete: ReadonlySet<number>): Promise<Projected> {
  if (placed.length === 0) return { fresh: 0, places: null, gaps: null };
  const events = placed.map(({ event }) => event);
  const [result] = await tx.query<Projected>('project entries', PROJECT, [
    generation ?? null,
    events.map(({ accountId }) => accountId),
    events.map(({ sequence }) => sequence),
    events.map(({ entryId }) => entryId),
    events.map(({ line }) => line),
    events.map(({ kind }) => kind),
    events.map(({ externalId }) => externalId),
    events.map(({ currency }) => currency),
    events.map(({ amountMinor }) => amountMinor),
    events.map(({ balanceAfterMinor }) => balanceAfterMinor),
    events.map(({ valueDate }) => valueDate),
    events.map(({ postedAt }) => postedAt),
    placed.map(({ partition }) => partition),
    placed.map(({ partition }) => incomplete.has(partition)),
  ]);
  if (!result) throw new Error(`generation ${generation ?? 'that serves'} is gone: another rebuild has taken its place`);
  return result;
}

/** The first gap of each partition, by offset, as its reason. */
function blocked(gaps: Gap[], placed: Placed[]): BlockedPartition[] {
  const byAccount = new Map(gaps.map((gap) => [gap.accountId, gap]));
  const reasons = new Map<number, string>();
  for (const { event, partition, offset } of placed) {
    const gap = byAccount.get(event.accountId);
    if (gap?.next === String(event.sequence) && !reasons.has(partition)) reasons.set(partition, reasonOf(gap, offset));
  }
  return [...reasons].map(([partition, reason]) => ({ partition, reason }));
}

function reasonOf({ accountId, known, next }: Gap, offset: bigint): string {
  return `account ${accountId}, offset ${offset}: the entry before sequence ${next} is missing; the last projected one is ${known}. docs/read-model.md describes how to continue`;
}

/** Learns which blocked partitions have lost their beginning. @returns true when there is one that was not known before */
async function findIncomplete(parts: ProjectionParts, partitions: BlockedPartition[], incomplete: Set<number>): Promise<boolean> {
  const before = incomplete.size;
  for (const { partition } of partitions) if ((await parts.firstOffset(partition)) > 0n) incomplete.add(partition);
  return incomplete.size > before;
}
