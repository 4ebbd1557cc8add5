/** A platform on a cluster with a receiver of its notifications, and the means to break parts of it. */
import { until } from '../../../local/src/demo/platform.ts';
import type { Catcher } from '../catcher.ts';
import { component, MINUTE, NAMESPACE, PLATFORM, type Environment } from '../environment.ts';

/** Folder of the marker files of `session`, in the pod of Postgres. */
const MARKERS = '/tmp';
/** A session ends by itself after this time, should nobody end it. */
const SESSION_LIMIT_SECONDS = 1800;
const PSQL = '/usr/lib/postgresql/17/bin/psql -qAtX -v ON_ERROR_STOP=1 -d ledger';
const IN_POSTGRES = ['exec', '-i', '-n', NAMESPACE, `${PLATFORM}-postgres-0`, '-c', 'postgres', '--'];

export interface Login {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Key of the password in the credentials Secret. */
  readonly key: string;
}

const ADMINISTRATOR: Login = { host: '127.0.0.1', port: 5432, user: 'postgres', key: 'postgres-password' };

export class Bench {
  readonly env: Environment;
  readonly catcher: Catcher;
  /** Base URL of the platform's Prometheus. */
  readonly prometheus: string;
  /** All durations of the alerts are divided by it. */
  readonly divisor: number;

  /** Ends of the sessions that run, by name. */
  readonly #sessions = new Map<string, Promise<void>>();

  constructor(parts: Pick<Bench, 'env' | 'catcher' | 'prometheus' | 'divisor'>) {
    this.env = parts.env;
    this.catcher = parts.catcher;
    this.prometheus = parts.prometheus;
    this.divisor = parts.divisor;
  }

  async patch(spec: object): Promise<void> {
    await this.env.kubectl.run(['patch', 'bss', PLATFORM, '-n', NAMESPACE, '--type=merge', '-p', JSON.stringify({ spec })]);
  }

  /** The operator leaves the platform alone, else it would repair a fault within a second. */
  async pause(): Promise<void> {
    await this.patch({ paused: true });
    await until('the operator to pause', MINUTE, async () => {
      const platform = await this.env.platform.get();
      return platform?.status?.conditions?.some(({ type, status }) => type === 'Paused' && status === 'True');
    });
  }

  /** The operator restores what is left of the faults. */
  async resume(): Promise<void> {
    await this.patch({ paused: false });
    await this.env.waitReady(3 * MINUTE);
  }

  /** Sets the replicas of a Deployment or StatefulSet and waits until they are ready, or gone. */
  async scale(object: string, replicas: number, namespace = NAMESPACE): Promise<void> {
    await this.env.kubectl.run(['scale', object, '-n', namespace, `--replicas=${replicas}`]);
    await this.env.kubectl.run(['rollout', 'status', object, '-n', namespace, '--timeout=120s']);
  }

  /** Waits until a component has no pod left: a member that drains would still consume events. */
  async untilGone(name: string): Promise<void> {
    await this.env.kubectl.run(['wait', '--for=delete', 'pod', '-l', component(name), '-n', NAMESPACE, '--timeout=60s']);
  }

  /** Sets a variable of a component's containers and waits for the new pods. */
  async setVariable(name: string, variable: string, value: string): Promise<void> {
    const object = `deployment/${PLATFORM}-${name}`;
    await this.env.kubectl.run(['set', 'env', object, '-n', NAMESPACE, '-c', name, `${variable}=${value}`]);
    await this.env.kubectl.run(['rollout', 'status', object, '-n', NAMESPACE, '--timeout=120s']);
  }

  /** Runs a command of redis-cli on the managed Redis. */
  async redis(...command: string[]): Promise<string> {
    const shell = 'IFS= read -r REDISCLI_AUTH; export REDISCLI_AUTH; exec redis-cli "$@"';
    const object = `deployment/${PLATFORM}-redis`;
    return this.env.kubectl.run(['exec', '-i', '-n', NAMESPACE, object, '-c', 'redis', '--', 'sh', '-c', shell, 'sh', ...command], {
      input: `${await this.env.platform.credential('redis-password')}\n`,
    });
  }

  /**
   * Runs a script of psql again and again in a number of sessions, from the pod of Postgres, until `endSessions`.
   * @param script what each session runs; every run opens a new connection
   * @param through address and login; the administrator, past PgBouncer, when absent
   */
  async startSessions(name: string, count: number, script: string, through: Login = ADMINISTRATOR): Promise<void> {
    const { host, port, user, key } = through;
    const shell = [
      'IFS= read -r PGPASSWORD; export PGPASSWORD',
      `touch ${MARKERS}/${name}; limit=$(($(date +%s) + ${SESSION_LIMIT_SECONDS}))`,
      `alive() { [ -e ${MARKERS}/${name} ] && [ "$(date +%s)" -lt "$limit" ]; }`,
      `session() { while alive; do printf '%s' "$0" | ${PSQL} -h ${host} -p ${port} -U ${user} > /dev/null 2>&1; sleep 0.1; done; }`,
      `for i in $(seq ${count}); do session < /dev/null & sleep 0.1; done`,
      // Sessions that outlived this shell would become children of the server, which restarts when a child fails.
      'wait',
    ].join('\n');
    const input = `${await this.env.platform.credential(key)}\n`;
    const ended = this.env.kubectl.run([...IN_POSTGRES, 'sh', '-c', shell, script], { input }).then(() => undefined);
    // A failure is reported where the sessions are ended.
    ended.catch(() => undefined);
    this.#sessions.set(name, ended);
  }

  /** Ends the sessions of a name; does nothing where there are none. */
  async endSessions(name: string): Promise<void> {
    const ended = this.#sessions.get(name);
    if (ended === undefined) return;
    this.#sessions.delete(name);
    await this.env.kubectl.run([...IN_POSTGRES, 'rm', '-f', `${MARKERS}/${name}`]);
    await ended;
  }

  /** The login through PgBouncer that a component's pods use now. */
  async loginOf(name: string): Promise<Login> {
    const variables = await this.#variablesOf(name);
    const url = new URL(variables.get('DATABASE_URL')?.value ?? '');
    const key = variables.get('PGPASSWORD')?.valueFrom?.secretKeyRef?.key ?? '';
    return { host: url.hostname, port: Number(url.port), user: url.username, key };
  }

  /** The value of a variable of a component's containers; '' when it is not set. */
  async variableOf(name: string, variable: string): Promise<string> {
    return (await this.#variablesOf(name)).get(variable)?.value ?? '';
  }

  async #variablesOf(name: string): Promise<Map<string, Variable>> {
    const { spec } = await this.env.kubectl.json<DeploymentView>(['get', 'deployment', `${PLATFORM}-${name}`, '-n', NAMESPACE]);
    const container = spec.template.spec.containers.find((one) => one.name === name);
    return new Map(container?.env?.map((variable) => [variable.name, variable]));
  }

  /**
   * Labels of the alerts that are pending or fire, the watchdog excepted. The series ALERTS would not do: those of a Prometheus that has been
   * replaced remain for five minutes.
   */
  async active(): Promise<Record<string, string>[]> {
    const response = await fetch(`${this.prometheus}/api/v1/alerts`);
    const { data } = (await response.json()) as { data: { alerts: { labels: Record<string, string> }[] } };
    return data.alerts.map(({ labels }) => labels).filter(({ alertname }) => alertname !== 'Watchdog');
  }

  /** The series of an expression, with their values. */
  async query(expr: string): Promise<{ metric: Record<string, string>; value: number }[]> {
    const response = await fetch(`${this.prometheus}/api/v1/query?${new URLSearchParams({ query: expr }).toString()}`);
    const body = (await response.json()) as PrometheusAnswer;
    if (body.data === undefined) throw new Error(`${expr}: ${body.error}`);
    return body.data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
  }
}

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef?: { readonly key: string } };
}

interface DeploymentView {
  readonly spec: {
    readonly template: { readonly spec: { readonly containers: readonly { readonly name: string; readonly env?: readonly Variable[] }[] } };
  };
}

interface PrometheusAnswer {
  readonly error?: string;
  readonly data?: { readonly result: readonly { readonly metric: Record<string, string>; readonly value: [number, string] }[] };
}
