/** A database, whose migrations are in the folder of its name. */
export interface Database {
  name: string;
  /** Role that owns the tables, and that the migrations run as. */
  owner: string;
  /** Further roles that may connect; the migrations grant them what they need. */
  users: readonly string[];
}

/** The databases of the platform, one for each service that stores data. */
export const DATABASES: readonly Database[] = [
  { name: 'accounts', owner: 'accounts', users: [] },
  { name: 'crm', owner: 'crm', users: [] },
  { name: 'ledger', owner: 'ledger', users: ['interest', 'relay'] },
  { name: 'orchestrator', owner: 'orchestrator', users: [] },
  { name: 'readmodel', owner: 'readmodel', users: [] },
];

/** Every role of the databases, once. */
export const ROLES: readonly string[] = [...new Set(DATABASES.flatMap(({ owner, users }) => [owner, ...users]))];

/** Role of the metrics exporter: it may read the server's statistics and no table. */
export const EXPORTER_ROLE = 'exporter';

/** Folder of a database's migrations. */
export function migrationsOf(database: string): string {
  return new URL(database, import.meta.url).pathname;
}
