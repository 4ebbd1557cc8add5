/** A real Prometheus and a real Alertmanager whose alerts a test chooses. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { ensurePrograms } from '../../../../local/src/build/programs.ts';
import { ensureRootfs } from '../../../../local/src/build/rootfs.ts';
import { serverFolder } from '../../../../local/src/services/folder.ts';
import { freePorts } from '../../../../local/src/services/ports.ts';
import { ServerProcess } from '../../../../local/src/services/process.ts';

/** It fires from the next evaluation on, or is pending for an hour. */
export interface ChosenAlert {
  name: string;
  severity: 'critical' | 'warning' | 'none';
  pending?: true;
}

export const WATCHDOG: ChosenAlert = { name: 'Watchdog', severity: 'none' };

const HOST = '127.0.0.1';

const CONFIG = (alertmanagerPort: number) => ({
  global: { scrape_interval: '1s', evaluation_interval: '1s', external_labels: { platform: 'demo' } },
  rule_files: ['rules.yml'],
  alerting: { alertmanagers: [{ static_configs: [{ targets: [`${HOST}:${alertmanagerPort}`] }] }] },
});

/** A critical alert mutes every warning. */
const ALERTMANAGER_CONFIG = {
  route: { receiver: 'none' },
  receivers: [{ name: 'none' }],
  inhibit_rules: [{ source_matchers: ['severity="critical"'], target_matchers: ['severity="warning"'] }],
};

function ruleOf({ name, severity, pending }: ChosenAlert) {
  const annotations = { summary: `${name} summary`, description: 'what was measured', runbook_url: `docs/runbooks/${name}.md` };
  return { alert: name, expr: 'vector(1)', ...(pending ? { for: '1h' } : {}), labels: { severity, team: 'sre' }, annotations };
}

const listening = (port: number) => [`--web.listen-address=${HOST}:${port}`];

export class Monitoring {
  readonly prometheus: ServerProcess;
  readonly alertmanager: ServerProcess;
  /** Addresses of the two. */
  readonly urls: { prometheus: string; alertmanager: string };
  readonly #folder: string;

  private constructor(folder: string, servers: [ServerProcess, ServerProcess], [port, alertmanagerPort]: [number, number]) {
    this.#folder = folder;
    [this.prometheus, this.alertmanager] = servers;
    this.urls = { prometheus: `http://${HOST}:${port}`, alertmanager: `http://${HOST}:${alertmanagerPort}` };
  }

  /** Starts both, with these alerts and Watchdog. @param scrapes entries of `scrape_configs` */
  static async start(alerts: ChosenAlert[] = [], scrapes: object[] = []): Promise<Monitoring> {
    const [{ prometheus }, root, folder] = await Promise.all([ensurePrograms(['prometheus']), ensureRootfs(), serverFolder('services')]);
    const [port = 0, alertmanagerPort = 0] = await freePorts(2);
    const path = (name: string) => join(folder, name);
    await mkdir(path('alertmanager'));
    await writeFile(path('prometheus.yml'), stringify({ ...CONFIG(alertmanagerPort), scrape_configs: scrapes }));
    await writeFile(path('alertmanager/alertmanager.yml'), stringify(ALERTMANAGER_CONFIG));
    const servers: [ServerProcess, ServerProcess] = [
      new ServerProcess({
        name: 'Prometheus',
        command: [
          prometheus,
          `--config.file=${path('prometheus.yml')}`,
          `--storage.tsdb.path=${path('data')}`,
          ...listening(port),
          '--web.enable-lifecycle',
          // A restarted Alertmanager knows no alert until it is sent again.
          '--rules.alert.resend-delay=1s',
        ],
        logFile: path('prometheus.log'),
        port,
      }),
      new ServerProcess({
        name: 'Alertmanager',
        command: [
          'prometheus-alertmanager',
          '--config.file=/data/alertmanager.yml',
          '--storage.path=/data',
          ...listening(alertmanagerPort),
          '--cluster.listen-address=',
        ],
        // Its templates are in its root file system.
        inside: { root, data: path('alertmanager'), uid: 0 },
        logFile: path('alertmanager.log'),
        port: alertmanagerPort,
      }),
    ];
    const monitoring = new Monitoring(folder, servers, [port, alertmanagerPort]);
    await monitoring.#write([WATCHDOG, ...alerts]);
    try {
      await Promise.all(servers.map((one) => one.start()));
      return monitoring;
    } catch (error) {
      await monitoring.stop();
      throw error;
    }
  }

  /** From the next evaluation on, these alerts fire and no others: Watchdog has to be named too. */
  async choose(...alerts: ChosenAlert[]): Promise<void> {
    await this.#write(alerts);
    const { status } = await fetch(`${this.urls.prometheus}/-/reload`, { method: 'POST' });
    if (status !== 200) throw new Error(`Prometheus does not reload: HTTP ${status}`);
  }

  async stop(): Promise<void> {
    await Promise.all([this.prometheus.kill(), this.alertmanager.kill()]);
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #write(alerts: ChosenAlert[]): Promise<void> {
    const rules = alerts.map((one) => ruleOf(one));
    await writeFile(join(this.#folder, 'rules.yml'), stringify({ groups: [{ name: 'test', rules }] }));
  }
}
