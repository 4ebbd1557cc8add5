/** The settings of a run. k6 passes the environment variables of its process. */

/** Load goes to loopback only: the gateway of a cluster is reached through a port-forward. */
const LOOPBACK = /^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/;

/** @throws Error that names the variable and the values that it accepts; k6 then ends before it sends a request */
function setting(name: string, accepts: RegExp, advice: string, fallback?: string): string {
  const value = __ENV[name] || fallback;
  if (value === undefined) throw new Error(`${name} is missing: ${advice}`);
  if (!accepts.test(value)) throw new Error(`${name} is "${value}": ${advice}`);
  return value;
}

const positive = (name: string, fallback: string): number =>
  Number(setting(name, /^(?=.*[1-9])\d+(\.\d+)?$/, 'write a number above 0', fallback));

/** Base URL of the gateway, without a slash at its end. */
export const baseUrl = setting('BASE_URL', LOOPBACK, 'write the URL of a gateway on loopback, such as http://127.0.0.1:8080');

/** Events that `seed` sends. */
export const events = Number(setting('EVENTS', /^[1-9]\d{0,6}$/, 'write a whole number from 1 to 1000000', '10000'));

/** Seconds that `seed` waits for the events to be applied. */
export const waitSeconds = positive('WAIT_SECONDS', '300');

const durationFactor = positive('DURATION_FACTOR', '1');

/** A duration as k6 writes it, multiplied by DURATION_FACTOR; at least one second. */
export function scaled(seconds: number): string {
  return `${Math.max(1, Math.round(seconds * durationFactor))}s`;
}

/** Folder of the summary files; without it none are written. */
export const resultsFolder = __ENV['RESULTS_FOLDER'];

/** What the pages of results say about a run. */
export const facts = {
  command: __ENV['RUN_COMMAND'] || 'k6 run',
  machine: __ENV['RUN_MACHINE'] || 'not recorded',
  versions: __ENV['RUN_VERSIONS'] || 'not recorded',
};

/** The header of a request with the API key. The key is read here only. */
export function authorization(): Record<string, string> {
  const key = __ENV['API_KEY'];
  if (!key) throw new Error('API_KEY is missing: set it to an API key of the gateway with every scope');
  return { authorization: `Bearer ${key}` };
}
