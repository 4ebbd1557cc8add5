/** Configuration of the operator, from the environment. */
import { z } from 'zod';

/** A DNS label. */
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

const schema = z.object({
  /** Identity in leader election and events. */
  POD_NAME: z.string().min(1).default('bss-operator-local'),
  /** Namespace of the Lease, and of the operator pods that network policies admit. */
  POD_NAMESPACE: z.string().min(1).default('bss-system'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
  /** Namespaces of the platforms, with commas; empty: all. The operator needs no rights in others. */
  WATCH_NAMESPACES: z
    .string()
    .default('')
    .transform((list) => [...new Set(list.split(',').map((name) => name.trim()))].filter((name) => name !== ''))
    .refine(
      (names) => names.every((name) => NAMESPACE.test(name)),
      'write names of namespaces with commas between them, such as bss,bss-test',
    ),
  /** False: the operator scales ConsumerAutoscalers and runs no platforms; it needs no rights for their objects. */
  PLATFORMS: z.enum(['true', 'false']).default('true'),
  /** For /metrics, /livez and /readyz; 0 picks a free port. */
  METRICS_PORT: z.coerce.number().int().min(0).max(65535).default(8081),
});

export interface OperatorConfig {
  podName: string;
  namespace: string;
  /** Empty: all. */
  watchNamespaces: readonly string[];
  platforms: boolean;
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  metricsPort: number;
}

/** Exit code for an invalid configuration (EX_CONFIG of sysexits.h). */
export const EXIT_CONFIG = 78;

/** The configuration, or its problems: one line per variable. Empty variables count as unset. */
export function readConfig(environment: NodeJS.ProcessEnv): { config: OperatorConfig } | { problems: string[] } {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const result = schema.safeParse(given);
  if (!result.success) return { problems: result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`) };
  const { POD_NAME, POD_NAMESPACE, WATCH_NAMESPACES, LOG_LEVEL, METRICS_PORT, PLATFORMS } = result.data;
  const identity = { podName: POD_NAME, namespace: POD_NAMESPACE };
  const platforms = PLATFORMS === 'true';
  return { config: { ...identity, watchNamespaces: WATCH_NAMESPACES, platforms, logLevel: LOG_LEVEL, metricsPort: METRICS_PORT } };
}
