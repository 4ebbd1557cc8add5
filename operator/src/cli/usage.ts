/** Arguments of the command line. */
import { parseArgs } from 'node:util';
import { durationMs } from '../api/index.ts';

/** An error that the user has to fix; printed without a stack. */
export class UsageError extends Error {}

export const USAGE = `bss — plans, shows and checks BssPlatform and ConsumerAutoscaler resources; NAME is a platform, cas/NAME a ConsumerAutoscaler

  bss plan -f FILE [-n NAMESPACE]     what applying FILE would change, as a diff from a server-side dry run, and which pods restart and why;
                                      exit code 0: no changes, 2: changes, 1: cannot be applied;
                                      of a ConsumerAutoscaler: its spec, what its bounds enforce, and who else scales the object
  bss render -f FILE [-n NAMESPACE]   prints every manifest of the platform; needs no cluster
  bss status [NAME] [-n NAMESPACE] [-A] [--watch]
                                      prints platforms as trees, with the alerts that fire, and ConsumerAutoscalers with lag, replicas and reason;
                                      --watch follows changes
  bss status [NAME] --wait [--timeout DURATION]
                                      prints what is missing until the platforms are Ready; exit code 1 when they are not within the time (default: 5m)
  bss doctor [NAME] [-n NAMESPACE] [-A]
                                      why platforms are not Ready, what is wrong with their monitoring, why ConsumerAutoscalers do not scale,
                                      and what to do; exit code 1 when it finds a problem
  bss explain-scaling [NAME] [-n NAMESPACE]
                                      why a consumer group has its number of replicas, and what another policy would have done;
                                      bss explain-scaling --help
  bss from-keda [-f FILE]             prints ConsumerAutoscalers in place of KEDA's ScaledObjects with kafka triggers; comments name what has no equivalent;
                                      default: standard input; needs no cluster
  bss dump NAME [-o FILE]             writes an archive for a bug report: platform or ConsumerAutoscaler, objects, events, logs; without the values of Secrets
  bss crd                             prints the CustomResourceDefinitions

  -f, --filename FILE        a YAML file with BssPlatform and ConsumerAutoscaler resources, or KEDA's of from-keda; - reads standard input
  -n, --namespace NAMESPACE  default: the namespace of the kubeconfig's context, else default
  -A, --all-namespaces
      --context CONTEXT      of the kubeconfig
      --operator-namespace NAMESPACE  namespace of the operator; default: bss-system
      --no-color
  -w, --watch
      --wait
      --timeout DURATION     of --wait, such as 90s or 10m
  -o, --output FILE          of dump; - writes to standard output; default: bss-dump-NAMESPACE-NAME.tar.gz
  -h, --help

KUBECONFIG selects the cluster. Installed as kubectl-bss on the PATH, it is the kubectl plugin \`kubectl bss\`.
`;

export const COMMANDS = ['plan', 'render', 'status', 'doctor', 'dump', 'from-keda', 'crd'] as const;
/** Their argument is the name of a resource. */
const TAKE_NAME = new Set<Command>(['status', 'doctor', 'dump']);
export type Command = (typeof COMMANDS)[number];

export interface Arguments {
  command: Command;
  /** Name of a platform, or `cas/NAME`. */
  name?: string;
  filename?: string;
  namespace?: string;
  context?: string;
  operatorNamespace: string;
  allNamespaces: boolean;
  watch: boolean;
  wait: boolean;
  /** Of `wait`, milliseconds. */
  timeoutMs: number;
  /** File of `dump`. */
  output?: string;
  color: boolean;
}

/** @returns undefined for --help @throws UsageError */
export function parseArguments(argv: string[]): Arguments | undefined {
  const { values, positionals } = parse(argv);
  if (values.help || positionals[0] === 'help') return undefined;
  const [command, name, ...rest] = positionals;
  if (command === undefined || !isCommand(command))
    throw new UsageError(`choose a command: ${[...COMMANDS, 'explain-scaling'].join(', ')}`);
  const unexpected = TAKE_NAME.has(command) ? rest[0] : name;
  if (unexpected !== undefined) throw new UsageError(`unexpected argument "${unexpected}"`);
  if ((command === 'plan' || command === 'render') && values.filename === undefined) throw new UsageError(`${command} needs -f FILE`);
  if (command === 'dump' && name === undefined) throw new UsageError('dump needs the name of a platform, or cas/NAME');
  if (values.wait && values.watch) throw new UsageError('choose one of --wait and --watch');
  const { filename, namespace, context, output } = values;
  return {
    command,
    ...defined({ name, filename, namespace, context, output }),
    operatorNamespace: values['operator-namespace'],
    allNamespaces: values['all-namespaces'],
    watch: values.watch,
    wait: values.wait,
    timeoutMs: timeout(values.timeout),
    color: !values['no-color'],
  };
}

function timeout(text: string): number {
  try {
    return durationMs(text);
  } catch {
    throw new UsageError(`--timeout ${text} is not a duration: write a whole number and a unit, such as 90s or 10m`);
  }
}

function parse(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        filename: { type: 'string', short: 'f' },
        namespace: { type: 'string', short: 'n' },
        context: { type: 'string' },
        'operator-namespace': { type: 'string', default: 'bss-system' },
        'all-namespaces': { type: 'boolean', short: 'A', default: false },
        watch: { type: 'boolean', short: 'w', default: false },
        wait: { type: 'boolean', default: false },
        timeout: { type: 'string', default: '5m' },
        output: { type: 'string', short: 'o' },
        'no-color': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function isCommand(text: string): text is Command {
  return COMMANDS.some((command) => command === text);
}

function defined<T extends Record<string, string | undefined>>(fields: T): { [K in keyof T]?: string } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: string };
}
