import { ROLES } from '../databases/index.ts';

/** One login for each role of the databases, all with this password. */
export function everyLogin(password: string): Record<string, { name: string; password: string }[]> {
  return Object.fromEntries(ROLES.map((name) => [name, [{ name, password }]]));
}
