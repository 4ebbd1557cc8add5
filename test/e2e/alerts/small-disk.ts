/** A small file system on the node, which a fault can fill: a file behind a loop device, mounted where the node exporter finds it. */
import { clusterPaths } from '../../../local/src/paths.ts';
import { component, NAMESPACE, PLATFORM, type Environment } from '../environment.ts';

const NAME = 'small-disk';
const SIZE = '64M';
/** Percentage of the free space that is used up. Below 20 % left the alert fires, below 10 % the critical one. */
const FILLED = 86;

export class SmallDisk {
  readonly #env: Environment;
  /** Folder on the node. It goes with the cluster, should the fault not end. */
  readonly #folder: string;

  constructor(env: Environment) {
    this.#env = env;
    this.#folder = `${clusterPaths(env.target.name).state}/${NAME}`;
  }

  async create(): Promise<void> {
    const { kubectl } = this.#env;
    await kubectl.run(['apply', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: OBJECTS }) });
    await kubectl.run(['wait', '--for=condition=Ready', `pod/${NAME}`, '-n', NAME, '--timeout=60s']);
    const [image, mount] = [`${this.#folder}/image`, `${this.#folder}/mount`];
    await this.#onNode(`mkdir -p ${mount}; truncate -s ${SIZE} ${image}; mkfs.ext4 -q -F ${image}; mount -o loop ${image} ${mount}`);
    // A container sees the mounts that the node had when it started.
    await kubectl.run(['delete', 'pod', '-n', NAMESPACE, '-l', component('node-exporter'), '--wait']);
    await kubectl.run(['rollout', 'status', `daemonset/${PLATFORM}-node-exporter`, '-n', NAMESPACE, '--timeout=60s']);
  }

  async fill(): Promise<void> {
    const file = `${this.#folder}/mount/fill`;
    await this.#onNode(`fallocate -l $(($(stat -f -c '%a*%S' ${this.#folder}/mount) * ${FILLED} / 100)) ${file}`);
  }

  async empty(): Promise<void> {
    await this.#onNode(`rm -f ${this.#folder}/mount/fill`);
  }

  async remove(): Promise<void> {
    await this.#onNode(`umount ${this.#folder}/mount || true; rm -rf ${this.#folder}`);
    await this.#env.kubectl.run(['delete', 'namespace', NAME, '--wait=false']);
  }

  /** Runs a script in the mount namespace of the node. */
  async #onNode(script: string): Promise<void> {
    const enter = ['nsenter', '--target', '1', '--mount', '--', 'sh', '-euc', script];
    await this.#env.kubectl.run(['exec', '-n', NAME, NAME, '--', ...enter]);
  }
}

const OBJECTS = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAME, labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } } },
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: NAME, namespace: NAME },
    spec: {
      hostPID: true,
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: NAME,
          image: 'bss-platform/workloads:0.1.0',
          imagePullPolicy: 'IfNotPresent',
          command: ['sleep', 'infinity'],
          securityContext: { privileged: true, runAsUser: 0 },
        },
      ],
    },
  },
];
