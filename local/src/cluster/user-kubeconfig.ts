/** The user's own kubeconfig: a cluster is added to it on request, and removed from it with the cluster. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';
import { parse, stringify } from 'yaml';
import { Failure } from '../failure.ts';

interface Named {
  readonly name: string;
}

/** The lists of a kubeconfig that this project changes; other fields are kept. */
interface Kubeconfig {
  readonly clusters?: readonly Named[] | null;
  readonly users?: readonly Named[] | null;
  readonly contexts?: readonly Named[] | null;
  readonly 'current-context'?: string;
  readonly [field: string]: unknown;
}

const LISTS = ['clusters', 'users', 'contexts'] as const;

/** Where kubectl writes: the first file of KUBECONFIG, else `~/.kube/config`. */
export function userKubeconfig(env: NodeJS.ProcessEnv = process.env): string {
  const first = (env['KUBECONFIG'] ?? '').split(delimiter).find((path) => path !== '');
  return first ?? join(env['HOME'] ?? homedir(), '.kube', 'config');
}

/** Entries of the same name are replaced. The current context changes only where there was none. Pure. */
export function merged(existing: Kubeconfig, added: Kubeconfig): Kubeconfig {
  const names = LISTS.flatMap((list) => (added[list] ?? []).map(({ name }) => name));
  const rest = LISTS.map((list) => [list, [...others(existing[list], names), ...(added[list] ?? [])]]);
  const current = existing['current-context'] || added['current-context'];
  return {
    apiVersion: 'v1',
    kind: 'Config',
    ...existing,
    ...Object.fromEntries(rest),
    ...(current === undefined ? {} : { 'current-context': current }),
  };
}

/** Without the cluster, user and context of that name; a current context that was this one is unset. Pure. */
export function without(existing: Kubeconfig, name: string): Kubeconfig {
  const lists = LISTS.map((list) => [list, others(existing[list], [name])]);
  const current = existing['current-context'] === name ? { 'current-context': '' } : {};
  return { ...existing, ...Object.fromEntries(lists), ...current };
}

function others(entries: readonly Named[] | null | undefined, names: readonly string[]): Named[] {
  return (entries ?? []).filter(({ name }) => !names.includes(name));
}

/** Adds the contents of one kubeconfig to another file, which may not exist yet. @throws Failure when the file is not a kubeconfig */
export async function mergeInto(file: string, added: string): Promise<void> {
  await write(file, merged(await read(file), parse(added) as Kubeconfig));
}

/** Removes a cluster's entries; no error when the file or the entries are gone. */
export async function removeFrom(file: string, name: string): Promise<void> {
  const existing = await read(file);
  if (!LISTS.some((list) => (existing[list] ?? []).some((entry) => entry.name === name))) return;
  await write(file, without(existing, name));
}

async function read(file: string): Promise<Kubeconfig> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const content: unknown = text.trim() === '' ? {} : parsed(text, file);
  if (typeof content !== 'object' || content === null || Array.isArray(content)) throw new Failure(`${file} is not a kubeconfig.`);
  return content as Kubeconfig;
}

function parsed(text: string, file: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new Failure(`${file} is not valid YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** In one step: a reader never sees half of it. */
async function write(file: string, content: Kubeconfig): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const draft = `${file}.bss-${process.pid}`;
  await writeFile(draft, stringify(content, { lineWidth: 0 }), { mode: 0o600 });
  await rename(draft, file);
}
