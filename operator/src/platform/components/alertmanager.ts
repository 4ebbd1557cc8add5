/** Alertmanager: who is notified of which alert. Credentials of receivers stay in their Secrets, which are mounted as files. */
import { stringify } from 'yaml';
import { z } from 'zod';
import { INHIBITIONS, timing, type Severity, type Team } from '../../../../dashboards/src/rules/index.ts';
import { objectName, placement, port, resources, storage } from '../../api/common.ts';
import { durationMs } from '../../api/index.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import { positiveDuration, rule } from '../../api/rules.ts';
import type { ComponentDefinition } from '../definition.ts';
import { addressOf, nameOf } from '../names.ts';
import { claim, configMap, service, statefulSet } from '../parts.ts';
import { claimName, claimVolume, configVolume, container, goRuntime, podTemplate, probes, secretVolume } from '../pods.ts';
import { hasPrometheus } from '../scraping.ts';
import type { BssPlatformSpec } from '../spec.ts';
import type { PlatformInput } from '../types.ts';

const TEAMS: readonly Team[] = ['database', 'cache', 'streaming', 'sre', 'business'];

const channelSchema = z.string().max(80);

const teamChannels = rule(
  z
    .record(z.string(), channelSchema)
    .default({})
    .meta({ maxProperties: TEAMS.length })
    .describe(`Channels of teams: ${TEAMS.join(', ')}.`),
  {
    cel: `self.all(k, k in [${TEAMS.map((team) => `'${team}'`).join(', ')}])`,
    message: `write channels of these teams only: ${TEAMS.join(', ')}`,
    check: (channels) => Object.keys(channels).every((name) => TEAMS.some((team) => team === name)),
  },
);

const addressSchema = (what: string) =>
  z
    .string()
    .max(254)
    .regex(/^[^\s@]+@[^\s@]+$/, 'write an address such as on-call@example.com')
    .describe(what);

const slackSchema = z
  .strictObject({
    channel: channelSchema.optional().describe('Channel of teams without one of their own.'),
    teamChannels,
  })
  .describe('Slack: warnings, and what concerns the business. Key slack-url: URL of the incoming webhook.');

const emailSchema = z
  .strictObject({
    to: addressSchema('Who gets warnings.'),
    onCall: addressSchema('Who gets breaches of an SLA; `to` when absent.').optional(),
    from: addressSchema('The sender.'),
    smarthost: z
      .string()
      .max(260)
      .regex(/^[^\s:]+:[0-9]{1,5}$/, 'write host:port, such as mail.example.com:587')
      .describe('The mail server, as host:port.'),
    username: z.string().max(254).optional().describe('Login at the mail server. Key email-password: its password.'),
    requireTls: z.boolean().default(true).describe('Send by TLS only.'),
  })
  .describe('Email: warnings, and breaches of an SLA.');

const webhookSchema = (description: string) =>
  z.strictObject({ port: port('Port of the URL, which the NetworkPolicy opens.', 443) }).describe(description);

const receiversSchema = rule(
  z.strictObject({
    secretName: objectName(
      "Secret in the platform's namespace with the credentials of the receivers, each under the key that is named there.",
    ).optional(),
    slack: slackSchema.optional(),
    email: emailSchema.optional(),
    pagerduty: z
      .strictObject({})
      .describe('PagerDuty: critical alerts and breaches of an SLA. Key pagerduty-routing-key: integration key (Events API v2).')
      .optional(),
    webhook: webhookSchema(
      'An HTTP service, such as an SMS gateway: critical alerts, and those without another receiver. Key webhook-url.',
    ).optional(),
    watchdog: webhookSchema(
      'A dead man’s switch: it raises the alarm when the notification of every five minutes stops. Key watchdog-url.',
    ).optional(),
  }),
  {
    cel: 'has(self.secretName) || !(has(self.slack) || has(self.pagerduty) || has(self.webhook) || has(self.watchdog))',
    message: 'name the Secret with the credentials of the receivers: secretName',
    fieldPath: '.secretName',
    check: ({ secretName, slack, pagerduty, webhook, watchdog }) =>
      secretName !== undefined || [slack, pagerduty, webhook, watchdog].every((one) => one === undefined),
  },
)
  .prefault({})
  .describe('Who is notified. Without any, alerts are visible in Alertmanager and Prometheus alone.');

const schema = z
  .strictObject({
    enabled: z.boolean().default(true).describe('False, or prometheus.enabled false: no Alertmanager.'),
    receivers: receiversSchema,
    retention: positiveDuration('How long notifications and ended silences are remembered.').default('5d'),
    storage: storage('silences and the log of notifications', '1Gi'),
    resources: resources('Alertmanager'),
    ...placement(),
  })
  .prefault({})
  .describe('Alertmanager, which notifies people of alerts.');

export const specPiece = piece('alertmanager', schema, {
  profiles: {
    small: { resources: amounts('10m', '32Mi', '200m', '128Mi') },
    production: { resources: amounts('50m', '64Mi', undefined, '256Mi') },
  },
});

const IMAGE = {
  name: 'alertmanager',
  refs: { '0.1.0': 'prom/alertmanager:v0.28.1' },
  what: 'Alertmanager',
  debian: {
    version: ['alertmanager', '--version'],
    packages: ['prometheus-alertmanager'],
    programs: { alertmanager: 'prometheus-alertmanager' },
  },
};
const USER = 65534;
const PORT = 9093;
const SECRETS = '/etc/alertmanager-secrets';

/** Key in the Secret, and name of the mounted file, of each receiver's credential. */
const KEYS = {
  slack: 'slack-url',
  email: 'email-password',
  pagerduty: 'pagerduty-routing-key',
  webhook: 'webhook-url',
  watchdog: 'watchdog-url',
} as const;

type Receivers = BssPlatformSpec['alertmanager']['receivers'];
type Channel = 'slack' | 'email' | 'pagerduty' | 'webhook';

/** What an alert is about decides who is notified. */
type Audience = { team: Team; severity: Severity; sla?: boolean };

/** The channels of an audience in the order of preference: the first row of which one is configured. */
function channelsOf({ team, severity, sla }: Audience, receivers: Receivers): Channel[] {
  const rows: Channel[][] = sla
    ? [
        ['pagerduty', 'email'],
        ['webhook', 'slack'],
      ]
    : team === 'business'
      ? [['slack'], ['email'], ['webhook', 'pagerduty']]
      : severity === 'critical'
        ? [
            ['pagerduty', 'webhook'],
            ['slack', 'email'],
          ]
        : [
            ['slack', 'email'],
            ['webhook', 'pagerduty'],
          ];
  const configured = rows.map((row) => row.filter((name) => receivers[name] !== undefined));
  return configured.find((row) => row.length > 0) ?? [];
}

const TITLE = '{{ .Status | toUpper }} {{ .CommonLabels.alertname }} ({{ .CommonLabels.severity }})';
const TEXT =
  '{{ range .Alerts }}{{ .Annotations.summary }}\n{{ .Annotations.description }}\nRunbook: {{ .Annotations.runbook_url }}\n\n{{ end }}';
const fileOf = (name: keyof typeof KEYS) => `${SECRETS}/${KEYS[name]}`;

/** The settings of one channel for an audience, as a receiver has them. */
function settingsOf(name: Channel, audience: Audience, receivers: Receivers): Record<string, unknown[]> {
  const common = { send_resolved: true };
  if (name === 'pagerduty')
    return { pagerduty_configs: [{ ...common, routing_key_file: fileOf(name), description: TITLE, severity: audience.severity }] };
  if (name === 'webhook') return { webhook_configs: [{ ...common, url_file: fileOf(name) }] };
  if (name === 'slack') {
    const where = receivers.slack?.teamChannels[audience.team] ?? receivers.slack?.channel;
    return { slack_configs: [{ ...common, api_url_file: fileOf(name), ...(where ? { channel: where } : {}), title: TITLE, text: TEXT }] };
  }
  const { to = '', onCall, from, smarthost, username, requireTls } = receivers.email ?? {};
  const login = username === undefined ? {} : { auth_username: username, auth_password_file: fileOf('email') };
  const message = { headers: { Subject: TITLE }, text: TEXT };
  return {
    email_configs: [{ ...common, to: audience.sla ? (onCall ?? to) : to, from, smarthost, ...login, require_tls: requireTls, ...message }],
  };
}

function receiver(name: string, audience: Audience, receivers: Receivers): object {
  const settings = channelsOf(audience, receivers).map((one) => settingsOf(one, audience, receivers));
  return { name, ...Object.assign({}, ...settings) };
}

const SEVERITIES = ['critical', 'warning'] as const;

/** The configuration: by SLA, then by team and severity. It names files, never what is in them. */
export function alertmanagerConfig({ receivers }: BssPlatformSpec['alertmanager'], divisor: number): string {
  const { notify } = timing(divisor);
  const repeat = { critical: notify('repeatCritical'), warning: notify('repeatWarning') };
  const byTeam = TEAMS.flatMap((team) => SEVERITIES.map((severity) => ({ team, severity, name: `${team}-${severity}` })));
  return stringify(
    {
      route: {
        receiver: 'sre-warning',
        group_by: ['alertname', 'namespace', 'platform', 'service'],
        group_wait: notify('groupWait'),
        group_interval: notify('groupInterval'),
        repeat_interval: repeat.warning,
        routes: [
          { matchers: ['alertname="Watchdog"'], receiver: 'watchdog', repeat_interval: notify('repeatWatchdog') },
          { matchers: ['sla="true"'], receiver: 'sla', repeat_interval: repeat.critical },
          ...byTeam.map(({ team, severity, name }) => ({
            matchers: [`team="${team}"`, `severity="${severity}"`],
            receiver: name,
            repeat_interval: repeat[severity],
          })),
        ],
      },
      inhibit_rules: INHIBITIONS,
      receivers: [
        { name: 'watchdog', ...(receivers.watchdog ? { webhook_configs: [{ url_file: fileOf('watchdog') }] } : {}) },
        receiver('sla', { team: 'sre', severity: 'critical', sla: true }, receivers),
        ...byTeam.map(({ name, ...audience }) => receiver(name, audience, receivers)),
      ],
    },
    { aliasDuplicateObjects: false, lineWidth: 0 },
  );
}

/** Keys of the Secret that the configured receivers need. */
function keysOf(receivers: Receivers): string[] {
  const names = (['slack', 'pagerduty', 'webhook', 'watchdog'] as const).filter((name) => receivers[name] !== undefined);
  return [...names.map((name) => KEYS[name]), ...(receivers.email?.username === undefined ? [] : [KEYS.email])];
}

/** Ports of the services that notifications go to. */
function outside({ slack, email, pagerduty, webhook, watchdog }: Receivers): number[] {
  const ports = [
    ...(slack || pagerduty ? [443] : []),
    ...(email ? [Number(email.smarthost.split(':').at(-1))] : []),
    ...[webhook, watchdog].flatMap((one) => (one ? [one.port] : [])),
  ];
  return [...new Set(ports)].toSorted((a, b) => a - b);
}

function template(input: PlatformInput, data: Record<string, string>) {
  const { alertmanager } = input.spec;
  const { secretName = '' } = alertmanager.receivers;
  const keys = secretName === '' ? [] : keysOf(alertmanager.receivers);
  const hasSecret = keys.length > 0;
  return podTemplate(input, {
    component: 'alertmanager',
    placement: alertmanager,
    user: USER,
    config: data,
    secrets: hasSecret ? [{ name: secretName, keys }] : [],
    gracePeriodSeconds: 30,
    containers: [
      container(input, {
        name: 'alertmanager',
        image: IMAGE,
        command: [
          'alertmanager',
          '--config.file=/etc/alertmanager/alertmanager.yml',
          '--storage.path=/alertmanager/data',
          `--data.retention=${durationMs(alertmanager.retention)}ms`,
          `--web.listen-address=:${PORT}`,
          // One replica: no gossip.
          '--cluster.listen-address=',
        ],
        env: goRuntime(alertmanager.resources),
        ports: { metrics: PORT },
        resources: alertmanager.resources,
        mounts: {
          '/etc/alertmanager': 'config',
          '/alertmanager': 'data',
          ...(hasSecret ? { [SECRETS]: 'secrets' } : {}),
        },
        probes: probes({ httpGet: { path: '/-/ready', port: 'metrics' } }, { httpGet: { path: '/-/healthy', port: 'metrics' } }),
      }),
    ],
    volumes: [
      configVolume('config', nameOf(input, 'alertmanager')),
      claimVolume('data', claimName(input, 'alertmanager')),
      ...(hasSecret ? [secretVolume('secrets', secretName, Object.fromEntries(keys.map((key) => [key, key])))] : []),
    ],
  });
}

const isPresent = (spec: BssPlatformSpec) => hasPrometheus(spec) && spec.alertmanager.enabled;

/** Where Prometheus sends alerts; undefined when the platform has no Alertmanager. */
export function alertmanagerAddress(platform: Pick<PlatformInput, 'name' | 'namespace' | 'spec'>): string | undefined {
  return isPresent(platform.spec) ? `${addressOf(platform, 'alertmanager')}:${PORT}` : undefined;
}

export const definition: ComponentDefinition = {
  name: 'alertmanager',
  stage: 'observability',
  present: isPresent,
  images: [IMAGE],
  ports: () => ({ metrics: PORT }),
  connections: ({ alertmanager }) => {
    const ports = outside(alertmanager.receivers);
    return ports.length > 0 ? [{ outside: ports }] : [];
  },
  // It reads which alerts are silenced or inhibited.
  admits: () => [{ from: 'operator', ports: [PORT] }],
  endpoints: (platform) => {
    const reached = alertmanagerAddress(platform);
    return reached === undefined ? [] : [{ name: 'alertmanager', address: `http://${reached}` }];
  },
  manifests: (input) => {
    const { alertmanager, prometheus } = input.spec;
    const data = { 'alertmanager.yml': alertmanagerConfig(alertmanager, prometheus.alerts.durationDivisor) };
    return [
      configMap(input, 'alertmanager', data),
      claim(input, 'alertmanager', alertmanager.storage),
      service(input, 'alertmanager', { http: PORT }),
      service(input, 'alertmanager', { http: PORT }, { headless: true }),
      statefulSet(input, 'alertmanager', template(input, data)),
    ];
  },
};
