/** The local cluster as a target: a node made here, images built here, ports on loopback that live as long as the cluster. */
import { join } from 'node:path';
import process from 'node:process';
import { buildImages, buildStack, contentTag, type ImageArchive } from '../build/images.ts';
import { isStackBuilt, unavailableComponents, type Unavailable } from '../build/stack.ts';
import { clusterEnvironment, down, forward, loadImage, memory, status, up, type Cluster } from '../cluster/index.ts';
import { run, runInTerminal } from '../exec.ts';
import { Failure } from '../failure.ts';
import { clusterPaths } from '../paths.ts';
import { prepareMachine } from '../preflight.ts';
import type { Note } from '../progress.ts';
import { Kubectl } from './kubectl.ts';
import type { Target } from './target.ts';

export class LocalTarget implements Target {
  readonly kind = 'local' as const;
  readonly name: string;
  #prepared: Promise<void> | undefined;
  #cluster: Promise<Cluster> | undefined;
  #archives: Promise<ImageArchive[]> | undefined;
  #loaded: Promise<void> | undefined;
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
  loadImages(): Promise<void> {
    this.#loaded ??= this.#load();
    return this.#loaded;
  }

  async hasStack(): Promise<boolean> {
    await this.#ready();
    return isStackBuilt();
  }

  async buildStack(note?: Note): Promise<void> {
    await this.#stack(note);
  }

  async loadStack(note?: Note): Promise<void> {
    await this.loadImages();
    await loadImage(this.name, (await this.#stack(note)).archive);
  }

  unavailable(): readonly Unavailable[] {
    return unavailableComponents();
  }

  async imageTag(): Promise<string> {
    return contentTag(await this.#images());
  }

  async kubectl(): Promise<Kubectl> {
    const cluster = await this.#running();
    return new Kubectl(join(cluster.bin, 'kubectl'), clusterEnvironment(this.name));
  }

  async find(): Promise<Kubectl | undefined> {
    if ((await status(this.name)) === undefined) return undefined;
    return new Kubectl(join(clusterPaths(this.name).state, 'bin', 'kubectl'), clusterEnvironment(this.name));
  }

  async shell(): Promise<number> {
    if ((await this.find()) === undefined)
      throw new Failure(`The ${this.title} does not run.`, { tryNext: [`make up CLUSTER=local NAME=${this.name}`] });
    console.log('kubectl and helm work on this cluster here; leave with exit.');
    return runInTerminal(process.env['SHELL'] ?? '/bin/sh', [], clusterEnvironment(this.name));
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
    this.#loaded = undefined;
    await down({ name: this.name });
  }

  hints(): string[] {
    return [
      `make shell CLUSTER=local NAME=${this.name}    then: kubectl get bss -A`,
      `make down CLUSTER=local NAME=${this.name}     stops it and removes everything but the build cache`,
    ];
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

  async #load(): Promise<void> {
    const [archives] = await Promise.all([this.#images(), this.#containerd.promise]);
    for (const image of archives) await loadImage(this.name, image.archive);
  }

  async #stack(note?: Note): Promise<ImageArchive> {
    await this.#ready();
    return buildStack(note);
  }

  #images(): Promise<ImageArchive[]> {
    this.#archives ??= this.#ready().then(() => buildImages());
    return this.#archives;
  }
}
