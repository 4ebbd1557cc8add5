/** Arguments of the command line. */
import { parseArgs } from 'node:util';

/** An error that the user has to fix; printed without a stack. */
export class UsageError extends Error {}

export const USAGE = `bss — plans, shows and checks BssPlatform resources

  bss plan -f FILE [-n NAMESPACE]     what applying FILE would change, as a diff from a server-side dry run, and which pods restart and why;
                                      exit code 0: no changes, 2: changes, 1: cannot be applied
  bss render -f FILE [-n NAMESPACE]   prints every manifest of the platform; needs no cluster
  bss status [NAME] [-n NAMESPACE] [-A] [--watch]
                                      prints platforms as trees; --watch follows changes
  bss doctor [NAME] [-n NAMESPACE]    why a platform is not Ready, and what to do; exit code 1 when it finds a problem
  bss explain-scaling [NAME] [-n NAMESPACE]
                                      why a consumer group has its number of replicas, and what another policy would have done;
                                      bss explain-scaling --help
  bss crd                             prints the CustomResourceDefinition

  -f, --filename FILE        a YAML file with BssPlatform resources; - reads standard input
  -n, --namespace NAMESPACE  default: the namespace of the kubeconfig's context, else default
  -A, --all-namespaces
      --context CONTEXT      of the kubeconfig
      --operator-namespace NAMESPACE  namespace of the operator; default: bss-system
      --no-color
  -w, --watch
  -h, --help

KUBECONFIG selects the cluster. Installed as kubectl-bss on the PATH, it is the kubectl plugin \`kubectl bss\`.
`;

export const COMMANDS = ['plan', 'render', 'status', 'doctor', 'crd'] as const;
export type Command = (typeof COMMANDS)[number];

export interface Arguments {
  command: Command;
  /** Name of a platform. */
  name?: string;
  filename?: string;
  namespace?: string;
  context?: string;
  operatorNamespace: string;
  allNamespaces: boolean;
  watch: boolean;
  color: boolean;
}

/** @returns undefined for --help @throws UsageError */
export function parseArguments(argv: string[]): Arguments | undefined {
  const { values, positionals } = parse(argv);
  if (values.help || positionals[0] === 'help') return undefined;
  const [command, name, ...rest] = positionals;
  if (command === undefined || !isCommand(command))
    throw new UsageError(`choose a command: ${[...COMMANDS, 'explain-scaling'].join(', ')}`);
  const unexpected = command === 'status' || command === 'doctor' ? rest[0] : name;
  if (unexpected !== undefined) throw new UsageError(`unexpected argument "${unexpected}"`);
  if ((command === 'plan' || command === 'render') && values.filename === undefined) throw new UsageError(`${command} needs -f FILE`);
  const { filename, namespace, context } = values;
  return {
    command,
    ...defined({ name, filename, namespace, context }),
    operatorNamespace: values['operator-namespace'],
    allNamespaces: values['all-namespaces'],
    watch: values.watch,
    color: !values['no-color'],
  };
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
