/** The options of `bss explain-scaling`. */
import { parseArgs } from 'node:util';
import { durationMs } from '../api/index.ts';
import type { ScalePolicy } from '../autoscale/index.ts';
import { UsageError } from './usage.ts';

export const EXPLAIN_USAGE = `bss explain-scaling [NAME] — why a consumer group has its number of replicas, and what another policy would have done

  bss explain-scaling [NAME] [-n NAMESPACE] [--group GROUP] [--last N]
                                      prints the last decisions as a table; NAME is a platform, or cas/NAME for a ConsumerAutoscaler
  bss explain-scaling [NAME] --max-delay 60s --min 2
                                      replays the recorded hour with these changes: recorded arrivals, modelled pods
  bss explain-scaling [NAME] --policy FILE
                                      replays it with the fields of spec...autoscaling in FILE
  bss explain-scaling --file recorded.json [...]
                                      reads a recording; needs no cluster

      --group GROUP          consumer group; default: interest-batch, or the only one
      --last N               rows of the table; default: 20
      --record FILE          writes the recording as JSON; - is standard output
      --file FILE            reads a recording instead of requesting it from the operator
      --json                 prints the result as JSON

  Policy of the replay; other fields keep their recorded values:
      --policy FILE          YAML: the fields of spec.workloads.interest.autoscaling, or a whole BssPlatform
                             or ConsumerAutoscaler
      --max-delay 60s, --min N, --max N, --lag-per-replica N, --window 30s
      --mode builtin|keda|fixed

  -n, --namespace NAMESPACE  of the platform; default: the namespace of the kubeconfig's context, else default
      --context CONTEXT      of the kubeconfig
      --operator-namespace NAMESPACE  namespace of the operator; default: bss-system
      --operator-url URL     metrics address of an operator that runs outside the cluster, such as http://127.0.0.1:8081
      --no-color
  -h, --help
`;

export interface ExplainArguments {
  /** Name of the platform, or `cas/` and that of a ConsumerAutoscaler; unset: the only one of the namespace. */
  name?: string;
  namespace?: string;
  context?: string;
  operatorNamespace: string;
  /** Address of the leader's metrics server; unset: through the API server to the leader's pod. */
  operatorUrl?: string;
  group?: string;
  last: number;
  /** Recording to read. */
  file?: string;
  /** File to write the recording to. */
  record?: string;
  json: boolean;
  policyFile?: string;
  /** Policy fields set by flags. */
  changes: Partial<ScalePolicy>;
  color: boolean;
}

const OPTIONS = {
  namespace: { type: 'string', short: 'n' },
  context: { type: 'string' },
  'operator-namespace': { type: 'string', default: 'bss-system' },
  'operator-url': { type: 'string' },
  group: { type: 'string' },
  last: { type: 'string', default: '20' },
  file: { type: 'string' },
  record: { type: 'string' },
  json: { type: 'boolean', default: false },
  policy: { type: 'string' },
  'max-delay': { type: 'string' },
  min: { type: 'string' },
  max: { type: 'string' },
  'lag-per-replica': { type: 'string' },
  window: { type: 'string' },
  mode: { type: 'string' },
  'no-color': { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** @param argv what follows `explain-scaling` @returns undefined for --help @throws UsageError */
export function parseExplainArguments(argv: string[]): ExplainArguments | undefined {
  const { values, positionals } = parse(argv);
  if (values.help) return undefined;
  const [name, extra] = positionals;
  if (extra !== undefined) throw new UsageError(`unexpected argument "${extra}"`);
  if (values.file !== undefined && name !== undefined)
    throw new UsageError('NAME and --file exclude each other: a recording is of one platform');
  return {
    ...(name === undefined ? {} : { name }),
    ...(values.namespace === undefined ? {} : { namespace: values.namespace }),
    ...(values.context === undefined ? {} : { context: values.context }),
    ...(values.group === undefined ? {} : { group: values.group }),
    ...(values.file === undefined ? {} : { file: values.file }),
    ...(values.record === undefined ? {} : { record: values.record }),
    ...(values.policy === undefined ? {} : { policyFile: values.policy }),
    ...(values['operator-url'] === undefined ? {} : { operatorUrl: address(values['operator-url']) }),
    operatorNamespace: values['operator-namespace'],
    last: whole('last', values.last),
    json: values.json,
    changes: changesOf(values),
    color: !values['no-color'],
  };
}

function parse(argv: string[]) {
  try {
    return parseArgs({ args: argv, allowPositionals: true, options: OPTIONS });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

type Values = ReturnType<typeof parse>['values'];

function changesOf(values: Values): Partial<ScalePolicy> {
  const { min, max, mode, window } = values;
  const [delay, perReplica] = [values['max-delay'], values['lag-per-replica']];
  return {
    ...(delay === undefined ? {} : { maxDelaySeconds: seconds('max-delay', delay) }),
    ...(window === undefined ? {} : { scaleDownWindowSeconds: seconds('window', window) }),
    ...(min === undefined ? {} : { minReplicas: whole('min', min), scaleToZero: whole('min', min) === 0 }),
    ...(max === undefined ? {} : { maxReplicas: whole('max', max) }),
    ...(perReplica === undefined ? {} : { lagPerReplica: whole('lag-per-replica', perReplica) }),
    ...(mode === undefined ? {} : { mode: modeOf(mode) }),
  };
}

function modeOf(text: string): ScalePolicy['mode'] {
  if (text === 'builtin' || text === 'keda' || text === 'fixed') return text;
  throw new UsageError(`--mode "${text}" is not valid: use builtin, keda or fixed`);
}

function address(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url.origin;
  throw new UsageError(`--operator-url "${text}" is not valid: use an address such as http://127.0.0.1:8081`);
}

function whole(option: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--${option} "${text}" is not valid: use a whole number`);
  return Number(text);
}

function seconds(option: string, text: string): number {
  try {
    return durationMs(text) / 1000;
  } catch {
    throw new UsageError(`--${option} "${text}" is not valid: use a duration such as 30s or 5m`);
  }
}
