/** Configuration of the operator, from the environment. */
import { z } from 'zod';

const schema = z.object({
  /** Identity in leader election and events. */
  POD_NAME: z.string().min(1).default('bss-operator-local'),
  /** Namespace of the Lease, and of the operator pods that network policies admit. */
  POD_NAMESPACE: z.string().min(1).default('bss-system'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
  /** For /metrics, /livez and /readyz; 0 picks a free port. */
  METRICS_PORT: z.coerce.number().int().min(0).max(65535).default(8081),
});

export interface OperatorConfig {
  podName: string;
  namespace: string;
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
  const { POD_NAME, POD_NAMESPACE, LOG_LEVEL, METRICS_PORT } = result.data;
  return { config: { podName: POD_NAME, namespace: POD_NAMESPACE, logLevel: LOG_LEVEL, metricsPort: METRICS_PORT } };
}
