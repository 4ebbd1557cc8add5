/** Targets that exist outside this project: a kind cluster, or the current context of KUBECONFIG. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline/promises';
import { fileURLToPath } from 'node:url';
import { buildForKind, loadIntoKind } from '../build/images.ts';
import type { Unavailable } from '../build/stack.ts';
import { run, runInTerminal } from '../exec.ts';
import { Failure } from '../failure.ts';
import { Kubectl } from './kubectl.ts';
import { portForward, type PortForward } from './port-forward.ts';
import type { Target } from './target.ts';

const KIND_CONFIG = fileURLToPath(new URL('../../../kind-config.yaml', import.meta.url));
/** What `install` and the demo create on a target. */
const OPERATOR = { release: 'bss-operator', namespace: 'bss-system' };
const DEMO = { platform: 'demo', namespace: 'bss' };
const CRD = 'bssplatforms.bss-platform.io';

/** What kind and a cluster of one's own share: kubectl and helm from PATH, port-forwards of this process. */
abstract class ExternalTarget implements Target {
  abstract readonly kind: 'kind' | 'current';
  abstract readonly title: string;
  readonly #forwards: PortForward[] = [];

  abstract up(): Promise<void>;
  abstract buildImages(): Promise<void>;
  abstract loadImages(): Promise<void>;
  abstract imageTag(): Promise<string | undefined>;
  abstract down(): Promise<void>;
  abstract kubectl(): Promise<Kubectl>;
  abstract find(): Promise<Kubectl | undefined>;
  abstract shell(): Promise<number>;
  abstract hints(): string[];

  async helm(args: readonly string[]): Promise<string> {
    const { env, context } = await this.kubectl();
    const { stdout } = await run('helm', context === undefined ? args : ['--kube-context', context, ...args], { env });
    return stdout;
  }

  async forward(namespace: string, service: string, port: number): Promise<string> {
    const forward = await portForward(await this.kubectl(), namespace, service, port);
    this.#forwards.push(forward);
    return forward.url;
  }

  /** The images of the stack are public. */
  hasStack(): Promise<boolean> {
    return Promise.resolve(true);
  }

  buildStack(): Promise<void> {
    return Promise.resolve();
  }

  loadStack(): Promise<void> {
    return Promise.resolve();
  }

  unavailable(): readonly Unavailable[] {
    return [];
  }

  /** Only a metrics server reports it, and not every cluster has one. */
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
  #tag: Promise<string> | undefined;

  constructor(name: string) {
    super();
    this.name = name;
  }

  get title(): string {
    return `kind cluster ${this.name}`;
  }

  async up(): Promise<void> {
    if (await this.#exists()) return;
    await run('kind', ['create', 'cluster', '--name', this.name, '--config', KIND_CONFIG, '--wait', '120s']);
  }

  async buildImages(): Promise<void> {
    await this.imageTag();
  }

  async loadImages(): Promise<void> {
    await loadIntoKind(this.name, await this.imageTag());
  }

  imageTag(): Promise<string> {
    this.#tag ??= buildForKind();
    return this.#tag;
  }

  kubectl(): Promise<Kubectl> {
    return Promise.resolve(new Kubectl('kubectl', process.env, `kind-${this.name}`));
  }

  async find(): Promise<Kubectl | undefined> {
    return (await this.#exists()) ? this.kubectl() : undefined;
  }

  /** The user's own kubeconfig keeps its current context: the shell gets a file of its own. */
  async shell(): Promise<number> {
    if (!(await this.#exists()))
      throw new Failure(`The ${this.title} does not run.`, { tryNext: [`make up CLUSTER=kind NAME=${this.name}`] });
    const { stdout } = await run('kind', ['get', 'kubeconfig', '--name', this.name]);
    const folder = await mkdtemp(join(tmpdir(), 'bss-kubeconfig-'));
    try {
      const file = join(folder, 'config');
      await writeFile(file, stdout, { mode: 0o600 });
      console.log('kubectl and helm work on this cluster here; leave with exit.');
      return await runInTerminal(process.env['SHELL'] ?? '/bin/sh', [], { ...process.env, KUBECONFIG: file });
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  async down(): Promise<void> {
    await run('kind', ['delete', 'cluster', '--name', this.name]);
  }

  hints(): string[] {
    return [`kubectl --context kind-${this.name} get bss -A`, `make down CLUSTER=kind NAME=${this.name}`];
  }

  async #exists(): Promise<boolean> {
    const { stdout } = await run('kind', ['get', 'clusters']);
    return stdout.split('\n').includes(this.name);
  }
}

/** The cluster of the current context. Nothing is changed there before a person has confirmed it (or YES=1 is set). */
export class CurrentTarget extends ExternalTarget {
  readonly kind = 'current' as const;
  readonly title = 'the current context of your KUBECONFIG';
  #context: Promise<string> | undefined;

  async up(): Promise<void> {
    await confirm(`Install the operator (release ${OPERATOR.release}, namespace ${OPERATOR.namespace}) on ${await this.#place()}?`);
  }

  buildImages(): Promise<void> {
    return Promise.resolve();
  }

  loadImages(): Promise<void> {
    console.log('Images: push bss-platform/operator and bss-platform/workloads to a registry that the cluster reaches. Set it as');
    console.log('image.repository of the chart bss-operator and as spec.images.workloads of the platform.');
    return Promise.resolve();
  }

  imageTag(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  /** Bound to the context that was current at the first call: a change of it in between must not move the work to another cluster. */
  async kubectl(): Promise<Kubectl> {
    return new Kubectl('kubectl', process.env, await this.#currentContext());
  }

  async find(): Promise<Kubectl | undefined> {
    return this.kubectl();
  }

  async shell(): Promise<number> {
    console.log(`kubectl and helm work on ${await this.#place()} here; leave with exit.`);
    return runInTerminal(process.env['SHELL'] ?? '/bin/sh', []);
  }

  /** Deletes what `install` and the demo created. The definition goes with the last platform; without its operator a platform could not be deleted. */
  async down(): Promise<void> {
    const kubectl = await this.kubectl();
    const platforms = await this.#platforms();
    const others = platforms.filter((name) => name !== `${DEMO.namespace}/${DEMO.platform}`);
    const hasDemo = platforms.length > others.length;
    const parts = hasDemo ? [`the platform ${DEMO.platform} in namespace ${DEMO.namespace}`] : [];
    if (others.length > 0) console.log(`The operator stays: it serves ${others.join(', ')}. Delete these platforms first to remove it.`);
    else parts.push(`the release ${OPERATOR.release} in namespace ${OPERATOR.namespace}`, `the definition ${CRD}`);
    if (parts.length === 0) return;
    await confirm(`Delete ${parts.join(', ')} from ${await this.#place()}?`);
    if (hasDemo) await kubectl.run(['delete', 'bssplatform', DEMO.platform, '-n', DEMO.namespace, '--ignore-not-found', '--timeout=120s']);
    if (others.length > 0) return;
    await this.helm(['uninstall', OPERATOR.release, '--namespace', OPERATOR.namespace, '--ignore-not-found']);
    await kubectl.run(['delete', 'crd', CRD, '--ignore-not-found']);
    console.log(`Deleted. The namespaces ${DEMO.namespace} and ${OPERATOR.namespace} stay.`);
  }

  hints(): string[] {
    return ['kubectl get bss -A', 'make down CLUSTER=current'];
  }

  #currentContext(): Promise<string> {
    this.#context ??= new Kubectl('kubectl').run(['config', 'current-context']).then((text) => text.trim());
    return this.#context;
  }

  /** The context and its server, as a person recognizes them. */
  async #place(): Promise<string> {
    const kubectl = await this.kubectl();
    const server = await kubectl.run(['config', 'view', '--minify', '-o', 'jsonpath={.clusters[0].cluster.server}']);
    return `context "${await this.#currentContext()}" (${server.trim()})`;
  }

  /** `namespace/name` of every platform; none where the kind is not served. */
  async #platforms(): Promise<string[]> {
    const kubectl = await this.kubectl();
    if ((await kubectl.find(['crd', CRD])) === undefined) return [];
    const { items } = await kubectl.json<{ items: { metadata: { name: string; namespace: string } }[] }>(['get', 'bssplatform', '-A']);
    return items.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  }
}

/** @throws Failure when the answer is not yes, or when there is no terminal and YES is not set */
async function confirm(question: string): Promise<void> {
  if (process.env['YES'] === '1') {
    console.log(`${question} Yes (YES=1).`);
    return;
  }
  if (!process.stdin.isTTY)
    throw new Failure(`${question} Standard input is no terminal, so nobody can confirm.`, { tryNext: ['set YES=1 to confirm'] });
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await prompt.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new Failure('Cancelled: nothing was changed.');
  } finally {
    prompt.close();
  }
}
