/** What a family of resources is to the database: a table, its fields, and the constant statements that follow from them. Pure. */
import type { FamilyName } from '../shared/contracts/crm/resource.ts';
import type { StatefulFamily } from '../shared/contracts/crm/states.ts';
import { isoText } from '../shared/kernel/moment.ts';
import type { Queryable } from '../shared/kernel/postgres.ts';

/** `minor`: a bigint of minor units, as text. `time`: ISO 8601 in UTC. `date`: such as 2026-01-31. */
export type FieldType = 'text' | 'uuid' | 'int' | 'minor' | 'time' | 'date';

export type Value = string | number | null;
/** Values of a resource by field; an undefined one is absent. */
export type Fields = Readonly<Record<string, Value | undefined>>;

/** A resource as its API shows it, without what is in other tables. */
export type Entity = Readonly<Record<string, Value>> & {
  readonly id: string;
  readonly version: number;
  readonly createdAt: string;
  readonly updatedAt: string;
};

/** Families that have a table of their own: those of the API, and the addresses of customers. */
export type StoredFamily = FamilyName | 'addresses';

/** Another resource that a field names. */
export interface Reference {
  field: string;
  /** Selects the row with the id `$1` if it can be referred to, and locks it against deletion. */
  text: string;
  /** The row must belong to the customer of the resource, which is `$2`. */
  ofCustomer?: true;
}

/** What keeps a resource from being deleted. */
export interface Dependants {
  /** For the message: "it has subscriptions that have not ended". */
  what: string;
  /** Selects a row if that is so for the resource with the id `$1`. */
  text: string;
}

export interface Family {
  name: StoredFamily;
  noun: string;
  /** As SQL writes it. */
  table: string;
  /** Beside id, version, createdAt and updatedAt. The column of `customerId` is `customer_id`. */
  fields: Readonly<Record<string, FieldType>>;
  /**
   * Fields that come from other tables, as SQL expressions: `(SELECT json_agg(…) FROM …)`. They cannot be set. Unlike stored fields they may be lists,
   * whose type is that of the family's schema.
   */
  computed?: Readonly<Record<string, string>>;
  /** Fields with personal data. */
  personal?: readonly string[];
  /** Filters of equality in lists. */
  filters: readonly string[];
  /** Its life cycle; the state is the field `status`. */
  machine?: StatefulFamily;
  references?: readonly Reference[];
  dependants?: readonly Dependants[];
  /** Families whose resources are deleted with the one that they belong to, by customerId. */
  owns?: readonly Family[];
  /** Rejects changes of a resource in some condition. @param set the fields that a change names @throws Problem */
  guard?: (current: Entity, set?: Fields) => void;
  /** Values of a new resource that come from other rows. */
  complete?: (tx: Queryable, values: Fields) => Promise<Fields>;
  /** Values that follow from a change. @param today UTC */
  derive?: (next: Fields, former: Fields | undefined, today: string) => Fields;
  /** Removes what the retention has expired for: see {@link purgeStatement}. */
  purge: string;
}

const COMMON: Readonly<Record<string, FieldType>> = { id: 'uuid', createdAt: 'time', updatedAt: 'time' };

export const columnOf = (field: string): string => field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function selected(field: string, type: FieldType): string {
  const column = columnOf(field);
  const text = {
    text: column,
    int: column,
    uuid: `${column}::text`,
    minor: `${column}::text`,
    date: `${column}::text`,
    time: isoText(column),
  };
  return `${text[type]} AS "${field}"`;
}

/** The fields of a resource, as a select list. */
export function columnsOf({ fields, computed = {} }: Family): string {
  const stored = Object.entries({ ...COMMON, ...fields }).map(([field, type]) => selected(field, type));
  const derived = Object.entries(computed).map(([field, expression]) => `${expression} AS "${field}"`);
  return ['version::int AS version', ...stored, ...derived].join(', ');
}

/**
 * Removes rows that were deleted softly more than `$1` days ago and that nothing refers to, at most `$2`, and writes their audit rows.
 * @param referrers columns with foreign keys to the table, such as `subscription.product_id`
 * @param customer expression for the customer of a row
 */
export function purgeStatement(
  { name, table }: Pick<Family, 'name' | 'table'>,
  referrers: readonly string[],
  customer = 'NULL::uuid',
): string {
  const free = referrers.map((column) => ` AND NOT EXISTS (SELECT FROM ${column.replace(/\.\w+$/, '')} WHERE ${column} = t.id)`);
  return `WITH gone AS (
  DELETE FROM ${table} WHERE id IN (
    SELECT id FROM ${table} t WHERE deleted_at < clock_timestamp() - $1 * interval '1 day'${free.join('')} ORDER BY deleted_at LIMIT $2 FOR UPDATE SKIP LOCKED
  ) RETURNING id, version, ${customer} AS customer_id
), audited AS (
  INSERT INTO audit (client, action, family, entity_id, customer_id, version, changes)
  SELECT 'retention', 'removed', '${name}', id, customer_id, version, '{}' FROM gone
)
SELECT count(*)::int AS count FROM gone`;
}

/** The statements of a family on one resource. */
export interface Statements {
  /** `$1` id. */
  read: string;
  /** As read, and locks the row. */
  lock: string;
  /** `$1` id, then the fields in their order. */
  insert: string;
  /** Locks the resources of the customer `$1`. */
  lockOwned: string;
  /** `$1` id, then the fields in their order. */
  update: string;
  /** `$1` id. */
  remove: string;
  summary: string;
}

export function statementsOf(family: Family): Statements {
  const { table, fields } = family;
  const names = Object.keys(fields).map(columnOf);
  const columns = columnsOf(family);
  const set = names.map((name, index) => `${name} = $${index + 2}`).join(', ');
  const read = `SELECT ${columns} FROM ${table} WHERE id = $1 AND deleted_at IS NULL`;
  const changed = 'version = version + 1, updated_at = clock_timestamp()';
  return {
    read,
    lock: `${read} FOR UPDATE`,
    lockOwned: `SELECT ${columns} FROM ${table} WHERE customer_id = $1 AND deleted_at IS NULL ORDER BY id FOR UPDATE`,
    insert: `INSERT INTO ${table} (id, ${names.join(', ')}) VALUES ($1, ${names.map((_name, index) => `$${index + 2}`).join(', ')}) RETURNING ${columns}`,
    update: `UPDATE ${table} SET ${set}, ${changed} WHERE id = $1 RETURNING ${columns}`,
    remove: `UPDATE ${table} SET deleted_at = clock_timestamp(), ${changed} WHERE id = $1 RETURNING ${columns}`,
    summary: family.machine
      ? `SELECT status, count(*)::int AS count FROM ${table} WHERE deleted_at IS NULL GROUP BY status ORDER BY status`
      : '',
  };
}

/** The parameters of insert and update. */
export function parametersOf({ fields }: Family, id: string, values: Fields): Value[] {
  return [id, ...Object.keys(fields).map((field) => values[field] ?? null)];
}

const CASTS: Record<FieldType, string> = { text: 'text', uuid: 'uuid', int: 'int', minor: 'bigint', time: 'timestamptz', date: 'date' };

/** Place of the last resource of a page: the value that the list is sorted by, and the id. */
export interface Place {
  value: string;
  id: string;
}

/** A list: one of the finitely many statements of a family, by sort, direction and the filters that are given. */
export function listStatement(
  family: Family,
  { sort, filters, after, limit }: { sort: string; filters: Readonly<Record<string, string>>; after: Place | undefined; limit: number },
): { text: string; values: unknown[] } {
  const descending = sort.startsWith('-');
  const field = descending ? sort.slice(1) : sort;
  const types: Record<string, FieldType> = { ...COMMON, ...family.fields };
  const type = types[field];
  if (!type) throw new Error(`family ${family.name} has no field ${field}`);
  const column = columnOf(field);
  const direction = descending ? 'DESC' : 'ASC';
  const values: unknown[] = [];
  const parameter = (value: unknown): string => `$${values.push(value)}`;
  const conditions = Object.entries(filters).map(([name, value]) => {
    if (!family.filters.includes(name)) throw new Error(`family ${family.name} has no filter ${name}`);
    return ` AND ${columnOf(name)} = ${parameter(value)}`;
  });
  if (after)
    conditions.push(
      ` AND (${column}, id) ${descending ? '<' : '>'} (${parameter(after.value)}::${CASTS[type]}, ${parameter(after.id)}::uuid)`,
    );
  const text = `SELECT ${columnsOf(family)}, ${column}::text AS "sortedBy" FROM ${family.table} WHERE deleted_at IS NULL${conditions.join('')}
 ORDER BY ${column} ${direction}, id ${direction} LIMIT ${parameter(limit)}`;
  return { text, values };
}
