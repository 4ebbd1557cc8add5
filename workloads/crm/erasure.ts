/** The rights of the person behind a customer: a copy of the data, and its erasure. What the books need has no personal data, and stays. */
import type { Postgres, Queryable } from '../shared/kernel/postgres.ts';
import { Problem } from '../shared/kernel/problems.ts';
import { PROBLEMS } from '../shared/contracts/crm/problems.ts';
import { isoText } from '../shared/kernel/moment.ts';
import { ADDRESS, ASSET, CUSTOMER, STORED } from './families.ts';
import { columnsOf } from './family.ts';
import type { Entity, Family, Fields } from './family.ts';
import type { Writing } from './records.ts';

/** What stands in a field of text that must not be empty. */
export const ERASED = '[erased]';
const BLANK_ADDRESS: Fields = { line1: ERASED, line2: null, city: ERASED, postcode: ERASED, region: null };

const owned = (family: Family): string => `SELECT ${columnsOf(family)} FROM ${family.table} WHERE customer_id = $1 ORDER BY created_at, id`;
const LOCK = `SELECT ${columnsOf(CUSTOMER)} FROM customer WHERE id = $1 FOR UPDATE`;
const READ = `SELECT ${columnsOf(CUSTOMER)} FROM customer WHERE id = $1`;
const FORGET_KEYS = 'DELETE FROM idempotency WHERE customer_id = $1';
const AUDIT = `SELECT ${isoText('at')} AS at, client, action, family, entity_id::text AS "entityId", changes FROM audit WHERE customer_id = $1 ORDER BY seq`;

const notFound = (id: string): Problem => new Problem(PROBLEMS.resource_not_found, `There is no customer ${id}.`);

/**
 * Overwrites the personal data of a customer, also of a deleted one: the name and the contact data, the addresses, and the stored answers to its
 * requests. Devices lose the customer. Safe to repeat.
 * @throws Problem `resource_not_found`, or `resource_in_use` while something has not ended or is not paid
 */
export async function eraseCustomer(writing: Writing, id: string): Promise<Entity> {
  const [customer] = await writing.query<Entity>('lock customer', LOCK, [id]);
  if (!customer) throw notFound(id);
  if (customer['erasedAt'] !== null) return customer;
  await writing.requireIndependent(CUSTOMER, id);
  for (const address of await writing.query<Entity>('read addresses', owned(ADDRESS), [id]))
    await writing.update(ADDRESS, address, BLANK_ADDRESS, 'erased');
  for (const asset of await writing.query<Entity>('read assets', owned(ASSET), [id]))
    await writing.update(ASSET, asset, { customerId: null, serviceId: null });
  await writing.query('forget keys', FORGET_KEYS, [id]);
  const status = 'closed';
  const blank = { name: ERASED, email: null, phone: null, statusReason: null, status, erasedAt: new Date().toISOString() };
  return writing.update(CUSTOMER, customer, blank, 'erased');
}

/** Everything that is stored about a customer. */
export interface Export {
  exportedAt: string;
  customer: Entity;
  /** By family; soft-deleted resources too. */
  resources: Record<string, Entity[]>;
  audit: object[];
}

async function ownedResources(tx: Queryable, id: string): Promise<Record<string, Entity[]>> {
  const families = STORED.filter(({ fields }) => fields['customerId'] !== undefined);
  const entries: [string, Entity[]][] = [];
  for (const family of families) entries.push([family.name, await tx.query<Entity>(`export ${family.name}`, owned(family), [id])]);
  return Object.fromEntries(entries);
}

/** @throws Problem `resource_not_found` */
export function exportCustomer(database: Pick<Postgres, 'transaction'>, id: string): Promise<Export> {
  return database.transaction(async (tx) => {
    const [customer] = await tx.query<Entity>('read customer', READ, [id]);
    if (!customer) throw notFound(id);
    const resources = await ownedResources(tx, id);
    const audit = await tx.query<object>('read audit', AUDIT, [id]);
    return { exportedAt: new Date().toISOString(), customer, resources, audit };
  });
}
