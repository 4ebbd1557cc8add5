/** Lists by page while others write: random steps from a seed against a real database. */
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { random } from '../ledger/testing/random.ts';
import type { Postgres } from '../shared/kernel/postgres.ts';
import { PRODUCT } from './families.ts';
import type { Entity } from './family.ts';
import { DatabaseReads } from './reads.ts';
import { Records } from './records.ts';
import { CrmPlatform } from './testing/platform.ts';

const LIMIT = { timeout: 120_000 };
const SEEDS = Number(process.env['CRM_PAGES_SEEDS'] ?? 12);
const FIRST = Number(process.env['CRM_PAGES_FIRST_SEED'] ?? 1);
/** Their fields never change, so a resource has one place in the list. */
const SORTS = ['createdAt', '-createdAt', 'code', '-code'];

let platform: CrmPlatform;
let database: Postgres;

before(async () => {
  platform = await CrmPlatform.start();
  database = platform.openDatabase(6);
}, LIMIT);
after(async () => {
  await database?.close();
  await platform?.stop();
}, LIMIT);

/** Products of which several share a time, to the microsecond. */
async function populate(seed: number, count: number): Promise<void> {
  await platform.sql(
    `INSERT INTO product (id, created_at, code, name, category, status, currency, recurring_minor, one_time_minor, tax_basis_points)
     SELECT gen_random_uuid(), timestamptz '2026-01-01' + (n % 7) * interval '1 microsecond', format('c%s-%s', $1::int, n), 'x',
            CASE WHEN n % 3 = 0 THEN 'mobile' ELSE 'tv' END, 'launched', 'EUR', 1, 0, 0
       FROM generate_series(1, $2::int) n`,
    [seed, count],
  );
}

for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
  test(`a list by page never skips or repeats a resource while others are made and deleted (seed ${seed})`, LIMIT, async () => {
    await platform.sql('TRUNCATE product CASCADE');
    const chosen = random(seed);
    const below = (bound: number): number => chosen.below(bound);
    const pick = <T>(values: readonly T[]): T => chosen.pick(values);
    const [sort, category] = [pick(SORTS), pick(['mobile', 'tv', undefined])];
    await populate(seed, 20 + below(80));
    const reads = new DatabaseReads(database);
    const records = new Records(database, () => undefined);
    const filters: Record<string, string> = category === undefined ? {} : { category };
    const matching = async (): Promise<string[]> =>
      (
        await platform.sql<{ id: string }>(`SELECT id FROM product WHERE deleted_at IS NULL AND ($1::text IS NULL OR category = $1)`, [
          category,
        ])
      ).map((row) => row.id);
    const present = new Set(await matching());
    const write = async (): Promise<void> => {
      const origin = { client: 'test' };
      if (below(3) > 0)
        await records.write(origin, async (writing) => {
          const code = `c${below(9)}-${randomUUIDv7()}`;
          const values = { code, name: 'x', category: pick(['mobile', 'tv']), currency: 'EUR', status: 'launched' };
          await writing.insert(PRODUCT, { ...values, recurringMinor: '1', oneTimeMinor: '0', taxBasisPoints: 0 });
        });
      else {
        const victim = pick([...present]);
        await records.write(origin, async (writing) => writing.remove(PRODUCT, await writing.lock(PRODUCT, victim)));
        present.delete(victim);
      }
    };
    const seen: Entity[] = [];
    let next: string | undefined;
    do {
      const writes = Array.from({ length: below(4) }, () => (present.size > 5 ? write() : Promise.resolve()));
      const [page] = await Promise.all([
        reads.list('products', { sort, filters, limit: 1 + below(7), after: next }),
        Promise.allSettled(writes),
      ]);
      seen.push(...page.items);
      next = page.next ?? undefined;
    } while (next !== undefined);
    const ids = seen.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, 'none is repeated');
    assert.deepEqual(
      [...present].filter((id) => !ids.includes(id)),
      [],
      'none that was there all the time is skipped',
    );
    const field = sort.replace('-', '');
    const values = seen.map((entity) => String(entity[field]));
    const sorted = values.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    assert.deepEqual(values, sort.startsWith('-') ? sorted.toReversed() : sorted, 'in order');
  });
}
