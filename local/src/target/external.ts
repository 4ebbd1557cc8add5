/** Targets that exist outside this project: a kind cluster, or whatever KUBECONFIG names. */
import { createInterface } from 'node:readline/promises';
import { fileURLToPath } from 'node:url';
import process from 'node:process';
import { run } from '../exec.ts';
import { buildForKind, loadIntoKind } from '../build/images.ts';
import { Kubectl } from './kubectl.ts';
import { portForward, type PortForward } from './port-forward.ts';
import type { Target } from './target.ts';

const KIND_CONFIG = fileURLToPath(new URL('../../../kind-config.yaml', import.meta.url));

/** What kind and a cluster of one's own share: kubectl and helm from PATH, port-forwards of this process. */
abstract class ExternalTarget implements Target {
  abstract readonly kind: 'kind' | 'current';
  abstract readonly title: string;
  readonly #forwards: PortForward[] = [];

  abstract up(): Promise<void>;
  abstract buildImages(): Promise<void>;
  abstract loadImages(): Promise<void>;
  abstract down(): Promise<void>;
  abstract kubectl(): Promise<Kubectl>;
  abstract hints(): string[];

  async helm(args: readonly string[]): Promise<string> {
    const { stdout } = await run('helm', args, { env: (await this.kubectl()).env });
    return stdout;
  }

  async forward(namespace: string, service: string, port: number): Promise<string> {
    const forward = await portForward(await this.kubectl(), namespace, service, port);
    this.#forwards.push(forward);
    return forward.url;
  }

  /** A new build of an image comes with a new tag there. */
  imageRevision(): Promise<string | undefined> {
    return Promise.resolve(undefined);
  }

  /** Only the metrics server would know, and not every cluster has one. */
  memoryBytes(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  close(): Promise<void> {
    for (const forward of this.#forwards.splice(0)) forward.stop();
    return Promise.resolve();
  }
}

export class KindTarget extends ExternalTarget {
  readonly kind = 'kind' as const;
  readonly name: string;

  constructor(name: string) {
    super();
    this.name = name;
  }

  get title(): string {
    return `kind cluster ${this.name}`;
  }

  async up(): Promise<void> {
    const { stdout } = await run('kind', ['get', 'clusters']);
    if (stdout.split('\n').includes(this.name)) return;
    await run('kind', ['create', 'cluster', '--name', this.name, '--config', KIND_CONFIG, '--wait', '120s']);
  }

  buildImages(): Promise<void> {
    return buildForKind();
  }

  async loadImages(): Promise<void> {
    await loadIntoKind(this.name);
  }

  kubectl(): Promise<Kubectl> {
    return Promise.resolve(new Kubectl('kubectl', process.env, `kind-${this.name}`));
  }

  override async helm(args: readonly string[]): Promise<string> {
    return super.helm(['--kube-context', `kind-${this.name}`, ...args]);
  }

  async down(): Promise<void> {
    await run('kind', ['delete', 'cluster', '--name', this.name]);
  }

  hints(): string[] {
    return [`kubectl --context kind-${this.name} get bss -A`, 'make down CLUSTER=kind'];
  }
}

/** The cluster of the current context. Nothing is changed there before a person has said yes (or YES=1 is set). */
export class CurrentTarget extends ExternalTarget {
  readonly kind = 'current' as const;
  readonly title = 'the cluster of the current context';

  async up(): Promise<void> {
    const kubectl = await this.kubectl();
    const context = (await kubectl.run(['config', 'current-context'])).trim();
    const server = (await kubectl.run(['config', 'view', '--minify', '-o', 'jsonpath={.clusters[0].cluster.server}'])).trim();
    await confirm(`Install the operator and a platform on context "${context}" (${server})?`);
  }

  buildImages(): Promise<void> {
    return Promise.resolve();
  }

  loadImages(): Promise<void> {
    console.log('Images: a cluster of your own pulls them; push bss-platform/operator and bss-platform/workloads to a registry it can');
    console.log('reach and name that registry in the chart (image.registry) and in the resource (spec.images.registry).');
    return Promise.resolve();
  }

  kubectl(): Promise<Kubectl> {
    return Promise.resolve(new Kubectl('kubectl'));
  }

  async down(): Promise<void> {
    await confirm('Delete the demo platform and the operator from the cluster of the current context?');
    const kubectl = await this.kubectl();
    await kubectl.run(['delete', 'bssplatform', '--all', '-n', 'bss', '--ignore-not-found', '--timeout=120s']);
    await this.helm(['uninstall', 'bss-operator', '-n', 'bss-system', '--ignore-not-found']);
  }

  hints(): string[] {
    return ['kubectl get bss -A', 'make down CLUSTER=current'];
  }
}

/** @throws when the answer is not yes, or when nobody is there to ask and YES is not set */
async function confirm(question: string): Promise<void> {
  if (process.env['YES'] === '1') return;
  if (!process.stdin.isTTY) throw new Error(`${question} Nobody is there to ask: set YES=1 to go ahead.`);
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await prompt.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new Error('Stopped: nothing was changed.');
  } finally {
    prompt.close();
  }
}
