/** `bss explain-scaling`: the last decisions of a group, and a replay of the recorded hour under another policy. */
import { readFile, writeFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';
import { API_VERSION, AUTOSCALER_KIND, KIND, parseConsumerAutoscaler, type Problem } from '../api/index.ts';
import { INTEREST_GROUP, parseSpec } from '../platform/index.ts';
import { recordingSchema, validatePolicy } from '../autoscale/index.ts';
import type { GroupRecording, Recording, ScalePolicy } from '../autoscale/index.ts';
import { CannotReplay, replay } from '../autoscale/simulator/replay.ts';
import type { Replay } from '../autoscale/simulator/replay.ts';
import { scalingKey } from '../reconcile/autoscalers/keys.ts';
import { scalePolicy } from '../reconcile/scaling/targets.ts';
import { KubeError, type KubeClient, type KubernetesObject } from '../runtime/index.ts';
import type { ExplainArguments } from './explain-arguments.ts';
import { describeDecisions, describeReplay } from './explain-text.ts';
import type { Paint } from './output.ts';
import { resourceNamed } from './scope.ts';
import { UsageError } from './usage.ts';

const LEASE = 'bss-operator';
/** The container port of the metrics server; the number is the default of the chart. */
const PORT = { name: 'metrics', number: 8081 };
/** Milliseconds. */
const ANSWER_LIMIT_MS = 10_000;

/** Prints the decisions or the replay; writes the recording with --record. @throws UsageError, KubeError */
export async function explainScaling(
  given: ExplainArguments,
  connect: () => { client: KubeClient; namespace: string },
  paint: Paint,
  print: (text: string) => void,
): Promise<void> {
  const recording =
    given.file === undefined ? await askOperator(given, connect()).catch(explained(given)) : await readRecording(given.file);
  if (given.record !== undefined) await write(given.record, recording, print);
  if (given.record === '-') return;
  const group = chooseGroup(recording, given.group);
  const policy = await replayPolicy(given, group.policy);
  const result = policy === undefined ? undefined : replayed(group, policy);
  if (given.json)
    print(JSON.stringify({ platform: recording.platform, since: recording.since, group, ...(result ? { replay: result } : {}) }));
  else if (result !== undefined) print(describeReplay(group, result, paint));
  else print(describeDecisions(recording.platform, recording.since, group, given.last, paint));
}

async function write(path: string, recording: Recording, print: (text: string) => void): Promise<void> {
  const text = JSON.stringify(recording);
  if (path === '-') print(text);
  else await writeFile(path, `${text}\n`).catch((error: Error) => fail(`cannot write ${path}: ${error.message}`));
}

async function readRecording(path: string): Promise<Recording> {
  return checked(await read(path), path);
}

async function read(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: Error) => fail(`cannot read ${path}: ${error.message}`));
}

function checked(text: string, source: string): Recording {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail(`${source} is not valid JSON`);
  }
  const { success, data, error } = recordingSchema.safeParse(value);
  if (success) return data;
  const { version } = z.object({ version: z.unknown() }).catch({ version: undefined }).parse(value);
  if (typeof version === 'number' && version > 1)
    fail(`${source} is a recording of version ${version}, newer than this program: use the bss of the operator's version`);
  return fail(`${source} is not a valid recording: ${z.prettifyError(error)}`);
}

/** @throws UsageError with the names of the recorded groups */
export function chooseGroup({ groups, platform }: Recording, name: string | undefined): GroupRecording {
  const names = groups.map(({ group }) => group).join(', ');
  if (groups.length === 0) fail(`no consumer group of ${platform} is scaled: it hibernates, is not ready yet, or has no consumers`);
  const only = groups.length === 1 ? groups[0] : groups.find(({ group }) => group === INTEREST_GROUP);
  const found = name === undefined ? only : groups.find(({ group }) => group === name);
  return found ?? fail(`${name === undefined ? 'choose a group' : `group ${name} not found`}: --group ${names}`);
}

/** The policy to replay with; undefined when none was given. @throws UsageError when it is invalid */
export async function replayPolicy({ policyFile, changes }: ExplainArguments, recorded: ScalePolicy): Promise<ScalePolicy | undefined> {
  if (policyFile === undefined && Object.keys(changes).length === 0) return undefined;
  const base = policyFile === undefined ? recorded : policyIn(parsedYaml(await read(policyFile), policyFile), policyFile);
  const policy = { ...base, ...changes };
  const [problem] = validatePolicy(policy);
  return problem === undefined ? policy : fail(`the policy is not valid: ${problem.message}`);
}

function parsedYaml(text: string, path: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    return fail(`${path} is not valid YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** A whole resource, or the fields of `autoscaling` alone. */
function policyIn(content: unknown, path: string): ScalePolicy {
  const { success, data } = z.object({ kind: z.string(), spec: z.unknown() }).safeParse(content);
  if (success && data.kind === AUTOSCALER_KIND) {
    const parsed = parseConsumerAutoscaler(data.spec);
    return parsed.ok ? scalePolicy(parsed.spec) : invalid(path, parsed.problems);
  }
  const spec = success && data.kind === KIND ? data.spec : { workloads: { interest: { autoscaling: content } } };
  const parsed = parseSpec(spec);
  return parsed.ok ? scalePolicy(parsed.spec.workloads.interest.autoscaling) : invalid(path, parsed.problems);
}

function invalid(path: string, problems: Problem[]): never {
  return fail(`${path} is not valid:\n${problems.map((problem) => `  ${problem.path}: ${problem.message}`).join('\n')}`);
}

function replayed(group: GroupRecording, policy: ScalePolicy): Replay {
  try {
    return replay(group, policy);
  } catch (error) {
    if (error instanceof CannotReplay) return fail(error.message);
    throw error;
  }
}

interface Lease extends KubernetesObject {
  spec?: { holderIdentity?: string };
}

interface Pod extends KubernetesObject {
  spec?: { containers?: { ports?: { name?: string; containerPort: number }[] }[] };
}

/** Only the leader has the recording. */
async function askOperator(given: ExplainArguments, { client, namespace }: { client: KubeClient; namespace: string }): Promise<Recording> {
  const key = given.name === undefined ? await onlyOne(client, namespace) : keyOfName(namespace, given.name);
  return given.operatorUrl === undefined ? askPod(client, given.operatorNamespace, key) : askAddress(given.operatorUrl, key);
}

/** @param name of a platform, or `cas/NAME` @returns the key by which the operator serves its decisions */
export function keyOfName(namespace: string, name: string): string {
  const resource = resourceNamed(name);
  const key = `${namespace}/${resource.name}`;
  return resource.kind === AUTOSCALER_KIND ? scalingKey(key) : key;
}

async function askAddress(url: string, platform: string): Promise<Recording> {
  const response = await fetch(`${url}/scaling/${platform}`, { signal: AbortSignal.timeout(ANSWER_LIMIT_MS) }).catch((error: Error) =>
    fail(`cannot reach the operator at ${url}: ${error.cause instanceof Error ? error.cause.message : error.message}`),
  );
  const text = await response.text();
  return response.status === 200 ? checked(text, `the response of ${url}`) : refused(response.status, text, { operator: url, platform });
}

/** Through the API server: the port of the pod is not reachable from outside the cluster. */
async function askPod(client: KubeClient, place: string, key: string): Promise<Recording> {
  const lease = await client.find<Lease>({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', name: LEASE, namespace: place });
  const holder = lease?.spec?.holderIdentity ?? '';
  if (holder === '') fail(`no operator holds the lease in namespace ${place}: run bss doctor, or set --operator-namespace`);
  // The identity is the pod's name and a suffix that differs after each restart.
  const podName = holder.slice(0, holder.lastIndexOf('_'));
  const pod = await client.find<Pod>({ apiVersion: 'v1', kind: 'Pod', name: podName, namespace: place });
  if (pod === undefined)
    fail(`the leader ${podName} is not a pod of namespace ${place}: pass the address of its metrics server with --operator-url`);
  const path = `/api/v1/namespaces/${place}/pods/${podName}:${portOf(pod)}/proxy/scaling/${key}`;
  const { status, body } = await client.raw('GET', path);
  if (status === 200) return checked(JSON.stringify(body), 'the response of the operator');
  if (status === 403) forbidden(messageIn(body), place);
  return refused(status, body, { operator: `pod ${place}/${podName}`, platform: key });
}

/** Names the Role that a user without permission needs. */
function explained({ operatorNamespace }: ExplainArguments): (error: unknown) => never {
  return (error) => {
    if (error instanceof KubeError && error.reason === 'Forbidden') forbidden(error.message, operatorNamespace);
    throw error;
  };
}

function forbidden(message: string, place: string): never {
  fail(`${message}\n  Role bss-operator-explain-scaling in namespace ${place} permits reading the autoscaler's decisions`);
}

function portOf({ spec }: Pod): number {
  const ports = (spec?.containers ?? []).flatMap(({ ports: list }) => list ?? []);
  return ports.find(({ name }) => name === PORT.name)?.containerPort ?? PORT.number;
}

function refused(status: number, body: unknown, { operator, platform }: { operator: string; platform: string }): never {
  if (status === 404)
    fail(
      `the operator scales no consumer groups of ${platform}: check that it exists and is ready; older operators do not serve decisions`,
    );
  return fail(`the operator (${operator}) responded: HTTP ${status} ${messageIn(body)}`.trimEnd());
}

function messageIn(body: unknown): string {
  return z
    .object({ message: z.string() })
    .catch({ message: typeof body === 'string' ? body.trim() : '' })
    .parse(body).message;
}

/** The key of the only platform of the namespace, or without one, of its only ConsumerAutoscaler. */
async function onlyOne(client: KubeClient, namespace: string): Promise<string> {
  const platforms = await namesOf(client, KIND, namespace);
  const autoscalers = platforms.length > 0 ? [] : await namesOf(client, AUTOSCALER_KIND, namespace);
  const [first, second] = [...platforms, ...autoscalers.map((name) => `cas/${name}`)];
  if (first === undefined) return fail(`no ${KIND} and no ${AUTOSCALER_KIND} found in ${namespace}`);
  if (second === undefined) return keyOfName(namespace, first);
  if (platforms.length === 0) return fail(`name one ConsumerAutoscaler: ${autoscalers.map((name) => `cas/${name}`).join(', ')}`);
  return fail(`name one platform: ${platforms.join(', ')}`);
}

/** None where the cluster does not serve the kind. */
async function namesOf(client: KubeClient, kind: string, namespace: string): Promise<string[]> {
  if (kind === AUTOSCALER_KIND && !(await client.serves({ apiVersion: API_VERSION, kind }))) return [];
  const { items } = await client.list({ apiVersion: API_VERSION, kind }, { namespace });
  return items.map(({ metadata }) => metadata.name);
}

function fail(message: string): never {
  throw new UsageError(message);
}
