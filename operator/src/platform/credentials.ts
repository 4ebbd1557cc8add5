/**
 * The generated passwords and tokens of a platform: made once, completed when a version brings new ones, rotated on request.
 *
 * What clients log in with has two slots. Usually one is live. A rotation fills the other one and makes it active, for the pods that are made
 * from then on; until the last of the older pods has gone both are live, which is to say good everywhere. Then the former one is forgotten. The
 * whole state of a rotation is in the Secret: which slots have values, which of them is active, and which request was taken up last.
 */

export const SLOTS = ['a', 'b'] as const;
export type Slot = (typeof SLOTS)[number];

/** Roles in the database. Each owns rights, and acts through one login per slot. */
export const DATABASE_ROLES = ['ledger', 'interest'] as const;
export type DatabaseRole = (typeof DATABASE_ROLES)[number];

/** User of PgBouncer's metrics exporter: it may read statistics over the pod's own socket, and reaches no database. */
export const STATS_USER = 'stats';

export const USERLIST_KEY = 'pgbouncer-userlist';
export const ADMIN_KEY = 'postgres-password';
/** The administrator's password before the last change: present until the database is known to have taken the new one. */
export const FORMER_ADMIN_KEY = 'postgres-password-former';
const REDIS_KEY = 'redis-password';
/** The token that callers send; gateways accept the tokens of all live slots. */
const TOKEN_KEY = 'debug-token';
const ACTIVE_KEY = 'active-slot';
const REQUEST_KEY = 'rotation-request';

/** Random values by key of the Secret, in text. */
export type Credentials = Record<string, string>;

/** What the builders must know of the credentials. */
export interface CredentialSlots {
  /** Used by pods that are made now. */
  active: Slot;
  /** Accepted; the active one is among them. */
  live: readonly Slot[];
  /** Whether the database may still have the administrator's former password. */
  formerAdmin: boolean;
}

/** Of a platform that was never rotated. */
export const FIRST_SLOT: CredentialSlots = { active: 'a', live: ['a'], formerAdmin: false };

type Random = (bytes: number) => Buffer;

/** Name under which a role logs in: its own, or `<role>_b`. */
export function loginOf(role: DatabaseRole, slot: Slot): string {
  return slot === 'a' ? role : `${role}_${slot}`;
}

export function passwordKey(role: DatabaseRole, slot: Slot): string {
  return slot === 'a' ? `${role}-password` : `${role}-${slot}-password`;
}

export function tokenKey(slot: Slot): string {
  return `${TOKEN_KEY}-${slot}`;
}

function keysOf(slot: Slot): string[] {
  return [...DATABASE_ROLES.map((role) => passwordKey(role, slot)), tokenKey(slot)];
}

/** 24 random bytes in 32 characters that need no quoting anywhere: letters, digits, - and _. */
function secretText(random: Random): string {
  return random(24).toString('base64url');
}

/** @param values decoded values of the Secret, complete or not */
export function slotsOf(values: Credentials): CredentialSlots {
  const live = SLOTS.filter((slot) => keysOf(slot).some((key) => values[key]));
  const active = live.find((slot) => slot === values[ACTIVE_KEY]) ?? live[0] ?? FIRST_SLOT.active;
  return { active, live: live.length === 0 ? FIRST_SLOT.live : live, formerAdmin: Boolean(values[FORMER_ADMIN_KEY]) };
}

/** Former values are good beside the new ones. */
export function isRotating(values: Credentials): boolean {
  const { live, formerAdmin } = slotsOf(values);
  return live.length > 1 || formerAdmin;
}

/** The request that was taken up last. */
export function requestOf(values: Credentials): string | undefined {
  return values[REQUEST_KEY];
}

/**
 * The whole Secret: values that exist stay, missing ones come from `known` or `random` (such as `crypto.randomBytes`), and what is derived
 * follows. Passwords of logins are what PgBouncer was told: there, a key that was edited is put back.
 * @param existing decoded values of the Secret as it is; empty when there is none
 * @param known values seen earlier
 */
export function completeCredentials(existing: Credentials, random: Random, known: Credentials = {}): Credentials {
  const merged = { ...known, ...withoutEmpty(existing) };
  const values = { ...merged, ...legacyToken(merged), ...adminAfter(existing, known), ...toldPasswords(merged[USERLIST_KEY] ?? '') };
  const { active, live } = slotsOf(values);
  const keys = [ADMIN_KEY, REDIS_KEY, ...live.flatMap(keysOf)];
  const primary = Object.fromEntries(keys.map((key) => [key, values[key] || secretText(random)]));
  return { ...values, ...primary, ...derived(primary, active, live) };
}

/**
 * The Secret with new values for everything beside the former ones, which stay good. Nothing changes when the request was taken up before, or
 * while an earlier one is under way.
 * @param values complete
 */
export function beginRotation(values: Credentials, request: string, random: Random): Credentials {
  if (requestOf(values) === request || isRotating(values)) return values;
  const next = slotsOf(values).active === 'a' ? 'b' : 'a';
  const fresh = [...keysOf(next), ADMIN_KEY, REDIS_KEY].map((key) => [key, secretText(random)]);
  const state = { [ACTIVE_KEY]: next, [REQUEST_KEY]: request, [FORMER_ADMIN_KEY]: values[ADMIN_KEY] ?? '' };
  return completeCredentials({ ...values, ...state, ...Object.fromEntries(fresh) }, random);
}

/** The Secret without the former values. @param values complete */
export function endRotation(values: Credentials, random: Random): Credentials {
  const { active, live } = slotsOf(values);
  const former = live.filter((slot) => slot !== active).flatMap(keysOf);
  const gone = new Set([...former, FORMER_ADMIN_KEY, USERLIST_KEY]);
  return completeCredentials(Object.fromEntries(Object.entries(values).filter(([key]) => !gone.has(key))), random);
}

/** New credentials, made with a request in place: there is nothing older to rotate away from. */
export function withRequest(values: Credentials, request: string | undefined): Credentials {
  return request === undefined ? values : { ...values, [REQUEST_KEY]: request };
}

/** The token as it was kept before there were slots. */
function legacyToken(values: Credentials): Credentials {
  const slotted = SLOTS.some((slot) => values[tokenKey(slot)]);
  return slotted || !values[TOKEN_KEY] ? {} : { [tokenKey('a')]: values[TOKEN_KEY] };
}

/**
 * The administrator's password may be edited: the database changes by the former one, of which no second may be needed at a time.
 */
function adminAfter(existing: Credentials, known: Credentials): Credentials {
  const [now, before] = [existing[ADMIN_KEY], known[ADMIN_KEY]];
  if (!now || !before || now === before) return {};
  return existing[FORMER_ADMIN_KEY] ? { [ADMIN_KEY]: before } : { [FORMER_ADMIN_KEY]: before };
}

const USER = /^"((?:[^"]|"")*)" "((?:[^"]|"")*)"$/gm;

/** Passwords of logins by key of the Secret. */
function toldPasswords(userlist: string): Credentials {
  const told = new Map([...userlist.matchAll(USER)].map(([, user = '', password = '']) => [unquoted(user), unquoted(password)]));
  const logins = DATABASE_ROLES.flatMap((role) => SLOTS.map((slot) => [passwordKey(role, slot), told.get(loginOf(role, slot))]));
  return Object.fromEntries(logins.filter(([, password]) => password));
}

function derived(primary: Credentials, active: Slot, live: readonly Slot[]): Credentials {
  const users = live.flatMap((slot) => DATABASE_ROLES.map((role) => [loginOf(role, slot), primary[passwordKey(role, slot)] ?? '']));
  // Gateways that were not replaced yet do not know the new token.
  const former = live.find((slot) => slot !== active) ?? active;
  return {
    [USERLIST_KEY]: [...users, [STATS_USER, '']].map(([user, password]) => `"${quoted(user)}" "${quoted(password)}"\n`).join(''),
    'redis-auth': `requirepass ${primary[REDIS_KEY]}\n`,
    [TOKEN_KEY]: primary[tokenKey(former)] ?? '',
    [ACTIVE_KEY]: active,
  };
}

function quoted(text = ''): string {
  return text.replaceAll('"', '""');
}

function unquoted(text: string): string {
  return text.replaceAll('""', '"');
}

function withoutEmpty(values: Credentials): Credentials {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));
}
