/** The generated passwords and tokens of a platform: made once, completed when a version brings new ones, never overwritten. */

/** Role of PgBouncer's metrics exporter: it may read statistics, and reaches no database. */
export const STATS_USER = 'stats';

/** Random values by key of the Secret, in text. */
export type Credentials = Record<string, string>;

/** Keys with a random value of their own. All others are derived from them. */
const RANDOM_KEYS = [
  'postgres-password',
  'ledger-password',
  'interest-password',
  'pgbouncer-stats-password',
  'redis-password',
  'debug-token',
];

/** 24 random bytes in 32 characters that need no quoting anywhere: letters, digits, - and _. */
function secretText(random: (bytes: number) => Buffer): string {
  return random(24).toString('base64url');
}

/**
 * The whole Secret: values that exist stay, missing ones come from `random` (such as `crypto.randomBytes`), and what is derived follows.
 * @param existing decoded values of the Secret as it is; empty when there is none
 */
export function completeCredentials(existing: Credentials, random: (bytes: number) => Buffer): Credentials {
  const primary = Object.fromEntries(RANDOM_KEYS.map((key) => [key, existing[key] || secretText(random)]));
  return { ...existing, ...primary, ...derived(primary) };
}

/** The Secret after a change of the named keys, or of all of them. */
export function rotateCredentials(
  existing: Credentials,
  random: (bytes: number) => Buffer,
  keys: readonly string[] = RANDOM_KEYS,
): Credentials {
  const kept = Object.fromEntries(Object.entries(existing).filter(([key]) => !keys.includes(key)));
  return completeCredentials(kept, random);
}

function derived(primary: Credentials): Credentials {
  const users = {
    ledger: primary['ledger-password'],
    interest: primary['interest-password'],
    [STATS_USER]: primary['pgbouncer-stats-password'],
  };
  return {
    'pgbouncer-userlist': Object.entries(users)
      .map(([user, password]) => `"${user}" "${password}"\n`)
      .join(''),
    'redis-auth': `requirepass ${primary['redis-password']}\n`,
  };
}
