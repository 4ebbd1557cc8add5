/**
 * The generated passwords and tokens of a platform: generated once, completed when a version needs more of them, rotated on request.
 *
 * The credentials of clients have two slots, and usually one of them is live. A rotation fills the other slot and makes it active: pods that are
 * created from then on use it. Until the last of the older pods is gone both slots are live, and servers accept both. Then the former values are
 * removed. The Secret has the whole state of a rotation: which slots have values, which one is active, and the last request.
 */

import { DEFINITIONS } from './components/index.ts';
import { ADMIN_KEY, FIRST_SLOT, FORMER_ADMIN_KEY, loginOf, passwordKey, slotKey, SLOTS, STATS_USER, USERLIST_KEY } from './logins.ts';
import type { CredentialSlots, Slot } from './logins.ts';

/** Roles in the database. Each has rights, and acts through one login per slot. */
export const DATABASE_ROLES: readonly string[] = DEFINITIONS.flatMap(({ database }) => (database ? [database.role] : []));

const CREDENTIALS = DEFINITIONS.flatMap(({ credentials = [] }) => credentials);
const PASSWORDS = CREDENTIALS.filter(({ type }) => type === 'password');
const TOKEN_KEYS = CREDENTIALS.filter(({ type }) => type === 'token').map(({ key }) => key);

const ACTIVE_KEY = 'active-slot';
const REQUEST_KEY = 'rotation-request';

/** Random values by key of the Secret, in text. */
export type Credentials = Record<string, string>;

type Random = (bytes: number) => Buffer;

function keysOf(slot: Slot): string[] {
  return [...DATABASE_ROLES.map((role) => passwordKey(role, slot)), ...TOKEN_KEYS.map((key) => slotKey(key, slot))];
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

/** Whether former values are valid beside the new ones. */
export function isRotating(values: Credentials): boolean {
  const { live, formerAdmin } = slotsOf(values);
  return live.length > 1 || formerAdmin;
}

/** The last request that started a rotation. */
export function requestOf(values: Credentials): string | undefined {
  return values[REQUEST_KEY];
}

/**
 * The whole Secret: values that exist stay, missing ones come from `known` or `random` (such as `crypto.randomBytes`), and what is derived
 * follows. The list of PgBouncer's users is the source of the logins' passwords: an edited key gets its value back.
 * @param existing decoded values of the Secret as it is; empty when there is none
 * @param known values seen earlier
 */
export function completeCredentials(existing: Credentials, random: Random, known: Credentials = {}): Credentials {
  const merged = { ...known, ...withoutEmpty(existing) };
  const values = { ...merged, ...sentTokens(merged), ...adminAfter(existing, known), ...listedPasswords(merged[USERLIST_KEY] ?? '') };
  const { active, live } = slotsOf(values);
  const keys = [...PASSWORDS.map(({ key }) => key), ...live.flatMap(keysOf)];
  const primary = Object.fromEntries(keys.map((key) => [key, values[key] || secretText(random)]));
  return { ...values, ...primary, ...derived(primary, active, live) };
}

/**
 * The Secret with new values for everything beside the former ones, which stay valid. Nothing changes when the request has started a rotation before, or
 * while another rotation is in progress.
 * @param values complete
 */
export function beginRotation(values: Credentials, request: string, random: Random): Credentials {
  if (requestOf(values) === request || isRotating(values)) return values;
  const next = slotsOf(values).active === 'a' ? 'b' : 'a';
  const fresh = [...keysOf(next), ...PASSWORDS.map(({ key }) => key)].map((key) => [key, secretText(random)]);
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

/** New credentials with a request recorded: they have no former values to rotate. */
export function withRequest(values: Credentials, request: string | undefined): Credentials {
  return request === undefined ? values : { ...values, [REQUEST_KEY]: request };
}

/** A token whose slots were removed keeps the value that callers send. */
function sentTokens(values: Credentials): Credentials {
  const without = TOKEN_KEYS.filter((key) => values[key] && !SLOTS.some((slot) => values[slotKey(key, slot)]));
  return Object.fromEntries(without.map((key) => [slotKey(key, 'a'), values[key] ?? '']));
}

/**
 * A user may edit the administrator's password: the database is then changed with the former one. There is one former password at a time.
 */
function adminAfter(existing: Credentials, known: Credentials): Credentials {
  const [now, before] = [existing[ADMIN_KEY], known[ADMIN_KEY]];
  if (!now || !before || now === before) return {};
  return existing[FORMER_ADMIN_KEY] ? { [ADMIN_KEY]: before } : { [FORMER_ADMIN_KEY]: before };
}

const USER = /^"((?:[^"]|"")*)" "((?:[^"]|"")*)"$/gm;

/** Passwords of logins by key of the Secret. */
function listedPasswords(userlist: string): Credentials {
  const listed = new Map([...userlist.matchAll(USER)].map(([, user = '', password = '']) => [unquoted(user), unquoted(password)]));
  const logins = DATABASE_ROLES.flatMap((role) => SLOTS.map((slot) => [passwordKey(role, slot), listed.get(loginOf(role, slot))]));
  return Object.fromEntries(logins.filter(([, password]) => password));
}

function derived(primary: Credentials, active: Slot, live: readonly Slot[]): Credentials {
  const users = live.flatMap((slot) => DATABASE_ROLES.map((role) => [loginOf(role, slot), primary[passwordKey(role, slot)] ?? '']));
  // Servers that were not replaced yet do not know the new token.
  const former = live.find((slot) => slot !== active) ?? active;
  const tokens = TOKEN_KEYS.map((key) => [key, primary[slotKey(key, former)] ?? '']);
  const forms = PASSWORDS.flatMap(({ key, derived: form }) => (form ? [[form.key, form.text(primary[key] ?? '')]] : []));
  return {
    [USERLIST_KEY]: [...users, [STATS_USER, '']].map(([user, password]) => `"${quoted(user)}" "${quoted(password)}"\n`).join(''),
    ...Object.fromEntries([...forms, ...tokens]),
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
