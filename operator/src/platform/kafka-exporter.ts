/** Metrics of topics and consumer groups. */
import { blueprint, type Blueprint } from './component.ts';
import { kafkaClient } from './connections.ts';
import { PORTS } from './names.ts';
import { service } from './parts.ts';
import type { PlatformInput } from './types.ts';
import { workload } from './workload.ts';

export function kafkaExporterComponent(input: PlatformInput): Blueprint | undefined {
  const { kafkaExporter } = input.spec.workloads;
  if (!kafkaExporter.enabled) return undefined;
  const { env, ...rest } = kafkaClient(input);
  return blueprint('kafka-exporter', 'observability', [
    service(input, 'kafka-exporter', { metrics: PORTS.kafkaExporter }),
    workload(input, {
      name: 'kafka-exporter',
      spec: kafkaExporter,
      replicas: 1,
      env,
      ...rest,
      metricsPort: PORTS.kafkaExporter,
      gracePeriodSeconds: 15,
      // Two of them at once would count every lag twice.
      strategy: { type: 'Recreate' },
    }),
  ]);
}
