/** The Pushgateway: it keeps the metrics that short-lived jobs push, until Prometheus scrapes them. */
import { z } from 'zod';
import { placement, resources } from '../../api/common.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import type { ComponentDefinition } from '../definition.ts';
import { addressOf } from '../names.ts';
import { deployment, service } from '../parts.ts';
import { container, goRuntime, podTemplate, probes } from '../pods.ts';

const schema = z
  .strictObject({
    enabled: z.boolean().default(false).describe('Run a Pushgateway. It keeps metrics in memory: a restart loses them.'),
    resources: resources('the Pushgateway'),
    ...placement(),
  })
  .prefault({})
  .describe("The Pushgateway, for the metrics of short-lived jobs. Pods of the platform's namespace may push.");

export const specPiece = piece('pushgateway', schema, {
  profiles: {
    small: { resources: amounts('5m', '24Mi', '100m', '96Mi') },
    production: { resources: amounts('20m', '64Mi', undefined, '256Mi') },
  },
});

const IMAGE = {
  name: 'pushgateway',
  refs: { '0.1.0': 'prom/pushgateway:v1.11.0' },
  what: 'the Pushgateway',
  debian: {
    packages: ['prometheus-pushgateway'],
    version: ['pushgateway', '--version'],
    programs: { pushgateway: 'prometheus-pushgateway' },
  },
};
/** User `nobody` of the public image. */
const USER = 65534;
const PORT = 9091;

export const definition: ComponentDefinition = {
  name: 'pushgateway',
  stage: 'observability',
  present: ({ pushgateway }) => pushgateway.enabled,
  images: [IMAGE],
  ports: () => ({ metrics: PORT }),
  // The labels of a pushed metric name the job that pushed it.
  honorLabels: true,
  admits: () => [{ from: 'namespace', ports: [PORT] }],
  endpoints: (platform) =>
    platform.spec.pushgateway.enabled ? [{ name: 'pushgateway', address: `http://${addressOf(platform, 'pushgateway')}:${PORT}` }] : [],
  manifests: (input) => {
    const { pushgateway } = input.spec;
    const template = podTemplate(input, {
      component: 'pushgateway',
      placement: pushgateway,
      user: USER,
      gracePeriodSeconds: 15,
      containers: [
        container(input, {
          name: 'pushgateway',
          image: IMAGE,
          command: ['pushgateway', `--web.listen-address=:${PORT}`],
          env: goRuntime(pushgateway.resources),
          ports: { metrics: PORT },
          resources: pushgateway.resources,
          probes: probes({ httpGet: { path: '/-/ready', port: 'metrics' } }, { httpGet: { path: '/-/healthy', port: 'metrics' } }),
        }),
      ],
    });
    return [
      service(input, 'pushgateway', { http: PORT }),
      // Two pods would each keep a part of the metrics.
      deployment(input, 'pushgateway', template, 1, { type: 'Recreate' }),
    ];
  },
};
