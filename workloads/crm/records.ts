/** Writes of resources: each changes the row, its audit row and its event in one transaction, however often the request is repeated. */
import { createHash, randomUUIDv7 } from 'node:crypto';
import { PROBLEMS as IDEMPOTENCY } from '../shared/contracts/idempotency.ts';
import { PROBLEMS } from '../shared/contracts/crm/problems.ts';
import { STATE_MACHINES } from '../shared/contracts/crm/states.ts';
import type { StatefulFamily } from '../shared/contracts/crm/states.ts';
import { isDuplicate } from '../shared/kernel/postgres.ts';
import type { Postgres, Queryable } from '../shared/kernel/postgres.ts';
import { Problem } from '../shared/kernel/problems.ts';
import { parametersOf, statementsOf } from './family.ts';
import type { Entity, Family, Fields, Reference, Statements, Value } from './family.ts';
import { requireTransition } from './states.ts';

/** Who sends a request, and in which trace. */
export interface Origin {
  client: string;
  /** Of a sampled request. */
  traceparent?: string | undefined;
  traceId?: string | undefined;
}

/** A change that was made, for metrics. */
export interface Change {
  family: Family;
  /** Past tense: created, updated, deleted and so on. */
  action: string;
  entity: Entity;
}

/** The request behind a write that has one effect for its key. */
export interface Keyed {
  key: string;
  /** What a repeated request must have in common with the first one: its route, parameters and body. */
  content: unknown;
}

const RECORD = `WITH audited AS (
  INSERT INTO audit (client, action, family, entity_id, customer_id, version, changes, trace_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
)
INSERT INTO change_event (id, family, action, entity_id, data, traceparent) VALUES ($9, $3, $2, $4, $10, $11)`;
const CLAIM = 'INSERT INTO idempotency (client, key, body_hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING key';
const CLAIMED = 'SELECT body_hash AS "bodyHash", answer FROM idempotency WHERE client = $1 AND key = $2';
const ANSWERED = 'UPDATE idempotency SET answer = $3, entity_id = $4, customer_id = $5 WHERE client = $1 AND key = $2';

const statements = new Map<Family, Statements>();
function of(family: Family): Statements {
  const known = statements.get(family) ?? statementsOf(family);
  statements.set(family, known);
  return known;
}

/** The customer that a resource belongs to, or is. */
function customerOf({ name }: Family, entity: Entity): Value {
  return name === 'customers' ? entity.id : (entity['customerId'] ?? null);
}

function without(fields: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
}

/** The statement of an event: the resource without its personal fields, and which fields have changed. Pure. */
export function eventData({ name, personal = [] }: Family, action: string, entity: Entity, changed: readonly string[]): object {
  return { family: name, action, id: entity.id, version: entity.version, changed, resource: without(entity, personal) };
}

/** By field, the former and the new value; a personal field has no values. Pure. */
export function changesOf({ fields, personal = [] }: Family, former: Fields | undefined, next: Fields): Record<string, Value[]> {
  const changed = Object.keys(fields).filter((field) => (former?.[field] ?? null) !== (next[field] ?? null));
  return Object.fromEntries(
    changed.map((field) => [field, personal.includes(field) ? ['personal'] : [former?.[field] ?? null, next[field] ?? null]]),
  );
}

/** Equal for equal contents, whatever the order of their keys. */
export function hashOf(content: unknown): string {
  const sorted = (_key: string, value: unknown): unknown =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  return createHash('sha256').update(JSON.stringify(content, sorted)).digest('hex');
}

/** One transaction of writes, on behalf of one origin. */
export class Writing implements Queryable {
  readonly #tx: Queryable;
  readonly #origin: Origin;
  readonly changes: Change[] = [];

  constructor(tx: Queryable, origin: Origin) {
    this.#tx = tx;
    this.#origin = origin;
  }

  /** A statement in the transaction. */
  readonly query: Queryable['query'] = (name, text, values) => this.#tx.query(name, text, values);

  /** The resource as it is, locked until the end. @throws Problem `resource_not_found` */
  async lock(family: Family, id: string): Promise<Entity> {
    const [found] = await this.query<Entity>(`lock ${family.noun}`, of(family).lock, [id]);
    if (!found) throw new Problem(PROBLEMS.resource_not_found, `There is no ${family.noun} ${id}.`);
    return found;
  }

  /**
   * Creates a resource. @param values absent fields become null
   * @throws Problem `reference_not_found`, `resource_exists`, or `illegal_transition` for a state that no resource begins in
   */
  async insert(family: Family, values: Fields, action = 'created'): Promise<Entity> {
    await this.#requireReferences(family.references, values);
    const complete = { ...begun(family, values), ...(await family.complete?.(this, values)) };
    const next = { ...complete, ...family.derive?.(complete, undefined, today()) };
    const entity = await this.#changed(family, of(family).insert, `insert ${family.noun}`, randomUUIDv7(), next);
    await this.#record(family, action, entity, changesOf(family, undefined, entity));
    return entity;
  }

  /**
   * Changes a resource that this transaction has locked. @param set the fields that change
   * @throws Problem `illegal_transition`, `reference_not_found`, `resource_exists`, or that of the family's guard
   */
  async update(family: Family, current: Entity, set: Fields, action = 'updated'): Promise<Entity> {
    family.guard?.(current, set);
    const { status } = set;
    if (family.machine && typeof status === 'string' && status !== current['status'])
      requireTransition(family.machine, String(current['status']), status as never);
    const moved = set['customerId'] !== undefined && set['customerId'] !== current['customerId'];
    const isNew = ({ field, ofCustomer }: Reference): boolean =>
      (set[field] !== undefined && set[field] !== current[field]) || (moved && ofCustomer === true);
    const wanted = {
      ...current,
      ...without(
        set,
        Object.keys(set).filter((field) => set[field] === undefined),
      ),
    };
    await this.#requireReferences(family.references?.filter(isNew), wanted);
    const next = { ...wanted, ...family.derive?.(wanted, current, today()) };
    const entity = await this.#changed(family, of(family).update, `update ${family.noun}`, current.id, next);
    await this.#record(family, action, entity, changesOf(family, current, entity));
    return entity;
  }

  /** Deletes a locked resource softly. @throws Problem `resource_in_use` */
  async remove(family: Family, current: Entity): Promise<void> {
    await this.requireIndependent(family, current.id);
    for (const owned of family.owns ?? [])
      for (const part of await this.query<Entity>(`lock ${owned.name}`, of(owned).lockOwned, [current.id])) await this.remove(owned, part);
    const [entity] = await this.query<Entity>(`delete ${family.noun}`, of(family).remove, [current.id]);
    if (entity) await this.#record(family, 'deleted', entity, {});
  }

  /** @throws Problem `resource_in_use` while something depends on the resource */
  async requireIndependent(family: Family, id: string): Promise<void> {
    for (const { what, text } of family.dependants ?? []) {
      const found = await this.query('find dependants', text, [id]);
      if (found.length > 0) throw new Problem(PROBLEMS.resource_in_use, `The ${family.noun} ${id} is in use: ${what}.`);
    }
  }

  async #requireReferences(references: readonly Reference[] = [], values: Fields): Promise<void> {
    for (const { field, text, ofCustomer } of references) {
      const id = values[field] ?? null;
      const parameters = ofCustomer ? [id, values['customerId'] ?? null] : [id];
      if (id === null || (await this.query('lock reference', text, parameters)).length > 0) continue;
      const message = ofCustomer ? 'names nothing of this customer' : 'names nothing that can be referred to';
      throw new Problem(PROBLEMS.reference_not_found, `body.${field}: ${message}`, { errors: [{ path: `body.${field}`, message }] });
    }
  }

  async #changed(family: Family, text: string, name: string, id: string, values: Fields): Promise<Entity> {
    try {
      const [entity] = await this.query<Entity>(name, text, parametersOf(family, id, values));
      if (!entity) throw new Error(`${family.noun} ${id} is gone although it is locked`);
      return entity;
    } catch (error) {
      if (!isDuplicate(error)) throw error;
      throw new Problem(PROBLEMS.resource_exists, `Another ${family.noun} has one of these values.`, { cause: error });
    }
  }

  async #record(family: Family, action: string, entity: Entity, changes: Record<string, Value[]>): Promise<void> {
    const { client, traceId = null, traceparent = null } = this.#origin;
    const { id, version } = entity;
    const customerId = customerOf(family, entity);
    const audit = [client, action, family.name, id, customerId, version, JSON.stringify(changes), traceId];
    const data = JSON.stringify(eventData(family, action, entity, Object.keys(changes)));
    await this.query('record change', RECORD, [...audit, randomUUIDv7(), data, traceparent]);
    this.changes.push({ family, action, entity });
  }
}

function today(): string {
  return new Date().toISOString().slice(0, 10);
}

/** The state that a new resource has. */
function begun(family: Family, values: Fields): Fields {
  if (!family.machine) return values;
  const initial: readonly string[] = STATE_MACHINES[family.machine satisfies StatefulFamily].initial;
  const status = values['status'] ?? initial[0] ?? null;
  if (!initial.includes(String(status)))
    throw new Problem(PROBLEMS.illegal_transition, `A new ${family.noun} cannot be ${status}.`, { allowed: initial });
  return { ...values, status };
}

/** The outcome of a write with a key. */
export interface Outcome {
  entity: Entity;
  /** An earlier request with this key has made it. */
  replayed: boolean;
}

export class Records {
  readonly #database: Pick<Postgres, 'transaction'>;
  readonly #committed: (changes: readonly Change[], seconds: number) => void;

  /** @param committed told of the changes of each transaction, and how long it took */
  constructor(database: Pick<Postgres, 'transaction'>, committed: (changes: readonly Change[], seconds: number) => void) {
    this.#database = database;
    this.#committed = committed;
  }

  /** Runs `work` in one transaction. */
  async write<T>(origin: Origin, work: (writing: Writing) => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    const { result, changes } = await this.#database.transaction(async (tx) => {
      const writing = new Writing(tx, origin);
      return { result: await work(writing), changes: writing.changes };
    });
    this.#committed(changes, (performance.now() - startedAt) / 1000);
    return result;
  }

  /**
   * As {@link write}, once for a key of the client: a repeated request gets the answer of the first one. A request that arrives while the first one
   * is in progress waits for it. A failed request leaves no key.
   * @param personal the family's personal fields as the request has them: the database keeps them in no other place than the resource
   * @throws Problem `idempotency_key_reused`
   */
  once(
    origin: Origin,
    { key, content }: Keyed,
    family: Family,
    personal: Readonly<Record<string, Value>>,
    work: (writing: Writing) => Promise<Entity>,
  ): Promise<Outcome> {
    return this.write(origin, async (writing) => {
      const bodyHash = hashOf(content);
      const known = await claim(writing, origin.client, key, bodyHash);
      if (known) return { entity: { ...known, ...personal }, replayed: true };
      const entity = await work(writing);
      const answer = JSON.stringify(without(entity, family.personal ?? []));
      await writing.query('write answer', ANSWERED, [origin.client, key, answer, entity.id, customerOf(family, entity)]);
      return { entity, replayed: false };
    });
  }
}

/** Takes a key. @returns the answer to the request that has it; undefined when this one does */
async function claim(tx: Queryable, client: string, key: string, bodyHash: string): Promise<Entity | undefined> {
  // A key that is in the way may expire in between.
  for (;;) {
    const taken = await tx.query('claim key', CLAIM, [client, key, bodyHash]);
    if (taken.length > 0) return undefined;
    const [known] = await tx.query<{ bodyHash: string; answer: Entity | null }>('read answer', CLAIMED, [client, key]);
    if (!known) continue;
    if (known.bodyHash === bodyHash && known.answer) return known.answer;
    throw new Problem(IDEMPOTENCY.idempotency_key_reused, 'Use another idempotency key for another request.');
  }
}
