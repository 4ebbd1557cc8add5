/** Names of what the credentials Secret holds. The values have two slots: see credentials.ts. */

export const SLOTS = ['a', 'b'] as const;
export type Slot = (typeof SLOTS)[number];

/** What the builders know of the credentials. */
export interface CredentialSlots {
  /** Used by pods that are created now. */
  active: Slot;
  /** Accepted; the active one is among them. */
  live: readonly Slot[];
  /** Whether the database may still have the administrator's former password. */
  formerAdmin: boolean;
}

/** The slots of a platform whose credentials were never rotated. */
export const FIRST_SLOT: CredentialSlots = { active: 'a', live: ['a'], formerAdmin: false };

export const USERLIST_KEY = 'pgbouncer-userlist';
export const ADMIN_KEY = 'postgres-password';
/** The administrator's password before the last change: present until the database is known to have the new one. */
export const FORMER_ADMIN_KEY = 'postgres-password-former';

/** User of PgBouncer's metrics exporter: it may read statistics over the pod's own socket, and has access to no database. */
export const STATS_USER = 'stats';

/** Role of the PostgreSQL exporter: it may read statistics (pg_monitor) and no table. It connects to the server itself, past PgBouncer. */
export const EXPORTER_ROLE = 'exporter';
export const EXPORTER_KEY = 'exporter-password';

/** Name under which a role logs in: its own, or `<role>_b`. */
export function loginOf(role: string, slot: Slot): string {
  return slot === 'a' ? role : `${role}_${slot}`;
}

export function passwordKey(role: string, slot: Slot): string {
  return slot === 'a' ? `${role}-password` : `${role}-${slot}-password`;
}

/** Key of a token in a slot. */
export function slotKey(key: string, slot: Slot): string {
  return `${key}-${slot}`;
}
