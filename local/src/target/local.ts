/** The local cluster as a target: a node made here, images built here, ports on loopback that live as long as the cluster. */
import { join } from 'node:path';
import { down, forward, loadImage, memory, up, type Cluster } from '../cluster/index.ts';
import { run } from '../exec.ts';
import { buildImages, type ImageArchive } from '../images.ts';
import { Kubectl } from './kubectl.ts';
import type { Target } from './target.ts';

export class LocalTarget implements Target {
  readonly kind = 'local' as const;
  readonly name: string;
  #cluster: Promise<Cluster> | undefined;
  #archives: Promise<ImageArchive[]> | undefined;

  constructor(name: string) {
    this.name = name;
  }

  get title(): string {
    return `local cluster ${this.name}`;
  }

  async up(): Promise<void> {
    await this.#running();
  }

  async buildImages(): Promise<void> {
    await this.#images();
  }

  async loadImages(): Promise<void> {
    await this.#running();
    for (const image of await this.#images()) await loadImage(this.name, image.archive);
  }

  async kubectl(): Promise<Kubectl> {
    const cluster = await this.#running();
    return new Kubectl(join(cluster.bin, 'kubectl'), cluster.kubeconfig);
  }

  async helm(args: readonly string[]): Promise<string> {
    const cluster = await this.#running();
    const { stdout } = await run(join(cluster.bin, 'helm'), args, { env: { ...process.env, KUBECONFIG: cluster.kubeconfig } });
    return stdout;
  }

  async forward(namespace: string, service: string, port: number): Promise<string> {
    const { localPort } = await forward(this.name, `${service}.${namespace}`, port);
    return `http://127.0.0.1:${localPort}`;
  }

  async memoryBytes(): Promise<number | undefined> {
    return (await memory(this.name)).pods;
  }

  /** Its forwards belong to the cluster, not to this process. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  async down(): Promise<void> {
    this.#cluster = undefined;
    await down({ name: this.name });
  }

  hints(): string[] {
    return ['make shell, then kubectl get bss -A', 'make down'];
  }

  #running(): Promise<Cluster> {
    this.#cluster ??= up({ name: this.name });
    return this.#cluster;
  }

  #images(): Promise<ImageArchive[]> {
    this.#archives ??= buildImages();
    return this.#archives;
  }
}
