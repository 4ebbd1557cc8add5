/** Configuration of the operator, from the environment. */
import { z } from 'zod';

const schema = z.object({
  /** Identity in leader election and events. */
  POD_NAME: z.string().min(1).default('bss-operator-local'),
  /** Where the Lease lives, and from where network policies let the operator in. */
  POD_NAMESPACE: z.string().min(1).default('bss-system'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
  /** For /metrics, /livez and /readyz; 0 takes a free one. */
  METRICS_PORT: z.coerce.number().int().min(0).max(65535).default(8081),
});

export interface OperatorConfig {
  podName: string;
  namespace: string;
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  metricsPort: number;
}

/** Exit code for a configuration that cannot work (EX_CONFIG of sysexits.h). */
export const EXIT_CONFIG = 78;

/** The configuration, or what is wrong with it: a line for each variable. Empty variables count as absent. */
export function readConfig(environment: NodeJS.ProcessEnv): { config: OperatorConfig } | { problems: string[] } {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const result = schema.safeParse(given);
  if (!result.success) return { problems: result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`) };
  const { POD_NAME, POD_NAMESPACE, LOG_LEVEL, METRICS_PORT } = result.data;
  return { config: { podName: POD_NAME, namespace: POD_NAMESPACE, logLevel: LOG_LEVEL, metricsPort: METRICS_PORT } };
}
