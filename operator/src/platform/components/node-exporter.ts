/** The node exporter: processors, memory, disks and file systems of every node. */
import { z } from 'zod';
import { resources, tolerations } from '../../api/common.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import type { ComponentDefinition } from '../definition.ts';
import { daemonSet } from '../parts.ts';
import { container, goRuntime, hostVolume, podTemplate, probes } from '../pods.ts';
import { hasNodeExporter } from '../stack.ts';
import type { PlatformInput } from '../types.ts';

const schema = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Run the node exporter, if there is Prometheus.'),
    resources: resources('the exporter on a node'),
    tolerations: tolerations('By default it runs on nodes without taints.'),
  })
  .prefault({})
  .describe('Metrics of the nodes. It mounts folders of the node: the namespace must not enforce Pod Security baseline or restricted.');

export const specPiece = piece('nodeExporter', schema, {
  profiles: {
    small: { resources: amounts('10m', '24Mi', '100m', '64Mi') },
    production: { resources: amounts('20m', '32Mi', undefined, '128Mi') },
  },
});

const IMAGE = {
  name: 'nodeExporter',
  refs: { '0.1.0': 'prom/node-exporter:v1.12.1' },
  what: 'the node exporter',
  debian: { packages: [], built: ['node_exporter'], version: ['node_exporter', '--version'], stack: true as const },
};
const USER = 65534;
const PORT = 9100;

/** What panels and alerts read. The pod has a network of its own: collectors of network interfaces would count the pod's. */
const COLLECTORS = ['cpu', 'diskstats', 'filefd', 'filesystem', 'loadavg', 'meminfo', 'pressure', 'stat', 'time', 'uname', 'vmstat'];
/** File systems of the kernel, and the mounts of containers and volumes, which are seen once on the disk that holds them. */
const NO_DISKS = '^/(dev|proc|run|sys|var/lib/(containerd|containers|docker|kubelet))($|/)';

const HOST = { '/host/proc': 'proc', '/host/sys': 'sys', '/host/root': 'root' };

function template(input: PlatformInput) {
  const { nodeExporter } = input.spec;
  return podTemplate(input, {
    component: 'node-exporter',
    placement: { nodeSelector: {}, labels: {}, tolerations: nodeExporter.tolerations },
    user: USER,
    gracePeriodSeconds: 10,
    containers: [
      container(input, {
        name: 'node-exporter',
        image: IMAGE,
        command: [
          'node_exporter',
          `--web.listen-address=:${PORT}`,
          '--path.procfs=/host/proc',
          '--path.sysfs=/host/sys',
          '--path.rootfs=/host/root',
          '--collector.disable-defaults',
          ...COLLECTORS.map((name) => `--collector.${name}`),
          `--collector.filesystem.mount-points-exclude=${NO_DISKS}`,
        ],
        env: goRuntime(nodeExporter.resources),
        ports: { metrics: PORT },
        resources: nodeExporter.resources,
        mounts: HOST,
        readOnlyMounts: Object.keys(HOST),
        probes: probes({ httpGet: { path: '/', port: 'metrics' } }, { tcpSocket: { port: 'metrics' } }),
      }),
    ],
    volumes: [hostVolume('proc', '/proc', 'Directory'), hostVolume('sys', '/sys', 'Directory'), hostVolume('root', '/', 'Directory')],
  });
}

export const definition: ComponentDefinition = {
  name: 'node-exporter',
  stage: 'observability',
  present: hasNodeExporter,
  mountsHost: true,
  images: [IMAGE],
  ports: () => ({ metrics: PORT }),
  manifests: (input) => [daemonSet(input, 'node-exporter', template(input))],
};
