/** PgBouncer as the operator runs it: its own command, its own configuration, and users that change in the mounted file. */
import { chown, copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildPlatform, FIRST_SLOT, parseSpec } from '../../../operator/src/platform/index.ts';
import { ensureRootfs, NONROOT_UID } from '../../../local/src/build/rootfs.ts';
import { serverFolder } from '../../../local/src/services/folder.ts';
import { freePorts } from '../../../local/src/services/ports.ts';
import { ServerProcess } from '../../../local/src/services/process.ts';

/** Paths of the container, and where they are inside the server's root. */
const MOVED: [string, string][] = [
  ['/etc/pgbouncer-auth', '/data/auth'],
  ['/etc/pgbouncer', '/data/config'],
  ['/etc/postgres-ca', '/data/ca'],
  ['/run/pgbouncer', '/data/run'],
];

interface Upstream {
  host: string;
  tls: 'disable' | 'require' | 'verify-ca' | 'verify-full';
  /** File with the certificate authority of the server, for the two that verify. */
  authorityPath?: string;
}

export class PlatformPooler {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly server: ServerProcess;
  readonly #folder: string;
  readonly #data: string;

  private constructor(port: number, server: ServerProcess, folder: string, data: string) {
    this.port = port;
    this.server = server;
    this.#folder = folder;
    this.#data = data;
  }

  /** In front of a Postgres on 127.0.0.1. @param userlist text of its first list of users @param server how to connect to the server */
  static async start(postgresPort: number, userlist: string, server: Partial<Upstream> = {}): Promise<PlatformPooler> {
    const upstream = { host: '127.0.0.1', tls: 'disable' as const, ...server };
    const [root, folder, [port = 0]] = await Promise.all([ensureRootfs(), serverFolder('services'), freePorts(1)]);
    const data = join(folder, 'pgbouncer');
    const { config, command } = manifestsOf(postgresPort, port, upstream);
    for (const path of [data, ...MOVED.map(([, inside]) => join(folder, 'pgbouncer', inside.replace('/data/', '')))]) {
      await mkdir(path, { recursive: true });
      await chown(path, NONROOT_UID, NONROOT_UID);
    }
    if (upstream.authorityPath) await copyFile(upstream.authorityPath, join(data, 'ca', 'ca.crt'));
    for (const [name, text] of Object.entries(config)) await writeFile(join(data, 'config', name), moved(text));
    const inside = { root, data, uid: NONROOT_UID };
    const logFile = join(folder, 'pgbouncer.log');
    const program = new ServerProcess({ name: 'PgBouncer', command: command.map(moved), inside, logFile, port, readyLine: /process up/ });
    const pooler = new PlatformPooler(port, program, folder, data);
    await pooler.renewUsers(userlist);
    await program.start();
    return pooler;
  }

  /** As the kubelet does it: one moment the old file is there, the next moment the new one. */
  async renewUsers(userlist: string): Promise<void> {
    const path = join(this.#data, 'auth', 'userlist.txt');
    await writeFile(`${path}.new`, userlist);
    await rename(`${path}.new`, path);
  }

  /** Folder of the socket that only the pod's own containers reach. */
  get socketFolder(): string {
    return join(this.#data, 'run');
  }

  log(): Promise<string> {
    return readFile(join(this.#folder, 'pgbouncer.log'), 'utf8');
  }

  async end(): Promise<void> {
    await this.server.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function moved(text: string): string {
  return MOVED.reduce((result, [from, to]) => result.replaceAll(from, to), text);
}

interface Deployment {
  template: { spec: { containers: { name: string; command: string[] }[] } };
}

function manifestsOf(
  postgresPort: number,
  port: number,
  { host, tls, authorityPath }: Upstream,
): { config: Record<string, string>; command: string[] } {
  const authority = authorityPath === undefined ? {} : { caSecret: { name: 'authority' } };
  const external = { host, port: postgresPort, tls, ...authority, adminSecret: { name: 'admin' } };
  const parsed = parseSpec({ postgres: { external }, pgbouncer: { port } });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const identity = { name: 'demo', namespace: 'bss', operatorNamespace: 'bss-system' };
  const components = buildPlatform({ ...identity, spec: parsed.spec, secretHashes: {}, slots: FIRST_SLOT });
  const manifests = components.find(({ name }) => name === 'pgbouncer')?.manifests ?? [];
  const find = (kind: string) => manifests.find((manifest) => manifest.kind === kind);
  const config = find('ConfigMap')?.['data'] as Record<string, string> | undefined;
  const deployment = find('Deployment')?.['spec'] as Deployment | undefined;
  const command = deployment?.template.spec.containers.find(({ name }) => name === 'pgbouncer')?.command;
  if (!config || !command) throw new Error('the platform has no PgBouncer');
  return { config, command };
}
