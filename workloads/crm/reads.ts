/** Reads of resources. The cache wraps this interface; writes never use it. */
import type { Summary } from '../shared/contracts/crm/common.ts';
import { isDataError } from '../shared/kernel/postgres.ts';
import type { Queryable } from '../shared/kernel/postgres.ts';
import { Problem, PROBLEMS } from '../shared/kernel/problems.ts';
import { STORED } from './families.ts';
import { listStatement, statementsOf } from './family.ts';
import type { Entity, Family, Place, Statements, StoredFamily } from './family.ts';

/** A list, as its route has checked it. */
export interface ListQuery {
  limit: number;
  /** Opaque: `next` of the page before. */
  after?: string | undefined;
  /** A field; descending with `-` in front. */
  sort: string;
  /** Filters of equality by field. */
  filters: Readonly<Record<string, string>>;
}

export interface Page {
  items: Entity[];
  /** Null on the last page. */
  next: string | null;
}

/** A page of what belongs to a customer, the oldest first. */
export type OwnedQuery = Pick<ListQuery, 'limit' | 'after'>;

export interface Reads {
  /** Undefined: there is none, or it is deleted. */
  get(family: StoredFamily, id: string): Promise<Entity | undefined>;
  /** @throws Problem `validation_failed` for a cursor that no list of this kind has given */
  list(family: StoredFamily, query: ListQuery): Promise<Page>;
  summary(family: StoredFamily): Promise<Summary>;
  ofCustomer(customerId: string, family: StoredFamily, query: OwnedQuery): Promise<Page>;
}

const encode = (sort: string, { value, id }: Place): string => Buffer.from(JSON.stringify([sort, value, id])).toString('base64url');

function decode(cursor: string, sort: string): Place {
  const [of, value, id] = parsed(cursor);
  if (of !== sort || typeof value !== 'string' || typeof id !== 'string') throw invalidCursor();
  return { value, id };
}

function parsed(cursor: string): unknown[] {
  try {
    const content: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    return Array.isArray(content) ? content : [];
  } catch {
    return [];
  }
}

function invalidCursor(): Problem {
  const message = 'is not the value of next of a page with this sort';
  return new Problem(PROBLEMS.validation_failed, `query.after ${message}`, { errors: [{ path: 'query.after', message }] });
}

/** The reads of the database. */
export class DatabaseReads implements Reads {
  readonly #database: Queryable;
  readonly #families = new Map<StoredFamily, { family: Family; statements: Statements }>(
    STORED.map((family) => [family.name, { family, statements: statementsOf(family) }]),
  );

  constructor(database: Queryable) {
    this.#database = database;
  }

  #of(name: StoredFamily): { family: Family; statements: Statements } {
    const found = this.#families.get(name);
    if (!found) throw new Error(`there is no family ${name}`);
    return found;
  }

  async get(name: StoredFamily, id: string): Promise<Entity | undefined> {
    const { family, statements } = this.#of(name);
    const [found] = await this.#database.query<Entity>(`read ${family.noun}`, statements.read, [id]);
    return found;
  }

  async list(name: StoredFamily, { limit, after, sort, filters }: ListQuery): Promise<Page> {
    const { family } = this.#of(name);
    const place = after === undefined ? undefined : decode(after, sort);
    // One more than the page has tells whether there is a next one.
    const { text, values } = listStatement(family, { sort, filters, after: place, limit: limit + 1 });
    const rows = await this.#database.query<Entity & { sortedBy: string }>(`list ${name}`, text, values).catch((error: unknown) => {
      throw place && isDataError(error) ? invalidCursor() : error;
    });
    const last = rows.length > limit ? rows[limit - 1] : undefined;
    const items = rows.slice(0, limit).map(({ sortedBy: _place, ...entity }): Entity => entity);
    return { items, next: last ? encode(sort, { value: last.sortedBy, id: last.id }) : null };
  }

  async summary(name: StoredFamily): Promise<Summary> {
    const { statements } = this.#of(name);
    const rows = await this.#database.query<{ status: string; count: number }>(`summarize ${name}`, statements.summary);
    return {
      total: rows.reduce((sum, { count }) => sum + count, 0),
      byStatus: Object.fromEntries(rows.map(({ status, count }) => [status, count])),
    };
  }

  ofCustomer(customerId: string, family: StoredFamily, query: OwnedQuery): Promise<Page> {
    return this.list(family, { ...query, sort: 'createdAt', filters: { customerId } });
  }
}
