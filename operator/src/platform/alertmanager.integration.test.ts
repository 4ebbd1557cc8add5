/** The configuration of Alertmanager under amtool, which routes alerts as Alertmanager does. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse } from 'yaml';
import { ensureRootfs } from '../../../local/src/build/rootfs.ts';
import { run } from '../../../local/src/exec.ts';
import { alertmanagerConfig } from './components/alertmanager.ts';
import { specOf } from './golden.ts';

const SLACK = { channel: '#alerts', teamChannels: { database: '#dba', business: '#sales' } };
const EMAIL = {
  to: 'team@example.com',
  onCall: 'on-call@example.com',
  from: 'alerts@example.com',
  smarthost: 'mail.example.com:587',
  username: 'alerts',
};
const PAGERDUTY = {};
const WEBHOOK = {};
const ALL = { slack: SLACK, email: EMAIL, pagerduty: PAGERDUTY, webhook: WEBHOOK, watchdog: WEBHOOK };

let folder: string;
let amtool: string;

before(
  async () => {
    amtool = join(await ensureRootfs(), 'usr/bin/amtool');
    folder = await mkdtemp(join(tmpdir(), 'amtool-'));
  },
  { timeout: 600_000 },
);

after(() => rm(folder, { recursive: true }));

async function configFile(receivers: object): Promise<{ file: string; text: string }> {
  const text = alertmanagerConfig(specOf({ alertmanager: { receivers: { secretName: 'receivers', ...receivers } } }).alertmanager, 1);
  const file = join(folder, 'alertmanager.yml');
  await writeFile(file, text);
  return { file, text };
}

interface Receiver {
  readonly name: string;
  readonly slack_configs?: readonly { readonly channel?: string }[];
  readonly email_configs?: readonly { readonly to: string }[];
  readonly [configs: string]: unknown;
}

/** What an alert with these labels is sent to: `slack #dba`, `email team@example.com`, `pagerduty`, `webhook`. */
async function sentTo(receivers: object, labels: Record<string, string>): Promise<string[]> {
  const { file, text } = await configFile(receivers);
  const args = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
  const { stdout } = await run(amtool, ['config', 'routes', 'test', `--config.file=${file}`, ...args]);
  const config: { receivers: Receiver[] } = parse(text);
  const receiver = config.receivers.find(({ name }) => name === stdout.trim());
  assert.ok(receiver, `no receiver ${stdout}`);
  const { slack_configs = [], email_configs = [] } = receiver;
  const others = ['pagerduty', 'webhook'].filter((name) => receiver[`${name}_configs`] !== undefined);
  return [...others, ...slack_configs.map(({ channel }) => `slack ${channel}`), ...email_configs.map(({ to }) => `email ${to}`)];
}

test('Alertmanager accepts the configuration, with every receiver and with none', async () => {
  for (const receivers of [ALL, {}]) {
    const { file } = await configFile(receivers);
    await run(amtool, ['check-config', file]);
  }
});

test('the configuration holds no secret, only the files that they are mounted to', async () => {
  const { text } = await configFile(ALL);
  assert.match(text, /routing_key_file: \/etc\/alertmanager-secrets\/pagerduty-routing-key/);
  assert.doesNotMatch(text, /^\s*(-\s*)?(url|api_url|routing_key|auth_password):/m);
});

const ROUTES: { labels: Record<string, string>; all: string[]; reason: string }[] = [
  {
    labels: { team: 'sre', severity: 'critical' },
    all: ['pagerduty', 'webhook'],
    reason: 'critical alerts page, and go to the SMS gateway',
  },
  {
    labels: { team: 'sre', severity: 'warning' },
    all: ['slack #alerts', 'email team@example.com'],
    reason: 'warnings go to Slack and email',
  },
  {
    labels: { team: 'database', severity: 'warning' },
    all: ['slack #dba', 'email team@example.com'],
    reason: 'a team has its own channel',
  },
  { labels: { team: 'business', severity: 'warning' }, all: ['slack #sales'], reason: 'business alerts go to the business team alone' },
  {
    labels: { team: 'sre', severity: 'critical', sla: 'true' },
    all: ['pagerduty', 'email on-call@example.com'],
    reason: 'the engineer on call answers for the SLA',
  },
  { labels: { alertname: 'Watchdog', team: 'sre', severity: 'none' }, all: ['webhook'], reason: 'the dead man’s switch' },
];

for (const { labels, all, reason } of ROUTES) {
  test(`routes by ${Object.values(labels).join(', ')}: ${reason}`, async () => assert.deepEqual(await sentTo(ALL, labels), all));
}

test('with one receiver alone, it gets every alert', async () => {
  for (const { labels } of ROUTES) {
    if (labels['alertname'] === 'Watchdog') continue;
    assert.deepEqual(await sentTo({ webhook: WEBHOOK }, labels), ['webhook'], JSON.stringify(labels));
    assert.equal((await sentTo({ slack: SLACK }, labels)).length, 1, JSON.stringify(labels));
  }
});

test('the watchdog is sent nowhere without a receiver of its own', async () => {
  assert.deepEqual(await sentTo({ webhook: WEBHOOK }, { alertname: 'Watchdog', team: 'sre', severity: 'none' }), []);
});
