/** The local cluster as a target: a node made here, images built here, ports on loopback that live as long as the cluster. */
import { basename, join } from 'node:path';
import { clusterEnvironment, down, forward, loadImage, memory, up, type Cluster } from '../cluster/index.ts';
import { run } from '../exec.ts';
import { buildImages, type ImageArchive } from '../build/images.ts';
import { prepareMachine } from '../preflight.ts';
import { Kubectl } from './kubectl.ts';
import type { Target } from './target.ts';

export class LocalTarget implements Target {
  readonly kind = 'local' as const;
  readonly name: string;
  #prepared: Promise<void> | undefined;
  #cluster: Promise<Cluster> | undefined;
  #archives: Promise<ImageArchive[]> | undefined;
  readonly #containerd = Promise.withResolvers<void>();

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

  /** Begins as soon as containerd answers, while the rest of the cluster still starts. */
  async loadImages(): Promise<void> {
    const [archives] = await Promise.all([this.#images(), this.#containerd.promise]);
    for (const image of archives) await loadImage(this.name, image.archive);
  }

  /** Names the content of the project's own images: their tag stays the same while someone works on them. */
  async imageRevision(): Promise<string> {
    const archives = await this.#images();
    const ours = archives.find((image) => image.refs.some((ref) => ref.includes('bss-platform/')));
    return basename(ours?.archive ?? '', '.tar');
  }

  async kubectl(): Promise<Kubectl> {
    const cluster = await this.#running();
    return new Kubectl(join(cluster.bin, 'kubectl'), clusterEnvironment(this.name));
  }

  async helm(args: readonly string[]): Promise<string> {
    const cluster = await this.#running();
    const { stdout } = await run(join(cluster.bin, 'helm'), args, { env: clusterEnvironment(this.name) });
    return stdout;
  }

  async forward(namespace: string, service: string, port: number): Promise<string> {
    const { url } = await forward(this.name, `${service}.${namespace}`, port);
    return url;
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
    return ['make shell    then: kubectl get bss -A', 'make down     stops it and removes everything but the build cache'];
  }

  /** Packages for the cluster and for the images at once: apt takes one at a time. */
  #ready(): Promise<void> {
    this.#prepared ??= prepareMachine((text) => console.log(text), ['cluster', 'images']);
    return this.#prepared;
  }

  #running(): Promise<Cluster> {
    this.#cluster ??= this.#start();
    return this.#cluster;
  }

  async #start(): Promise<Cluster> {
    await this.#ready();
    const { resolve } = this.#containerd;
    const cluster = await up({ name: this.name, onContainerd: resolve });
    resolve();
    return cluster;
  }

  #images(): Promise<ImageArchive[]> {
    this.#archives ??= this.#ready().then(() => buildImages());
    return this.#archives;
  }
}
