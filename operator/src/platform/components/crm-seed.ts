/**
 * The Job that fills the database of crm with generated customers. A Job's pod template is immutable, so the Job's name carries a hash of it. The Job
 * can run repeatedly: it adds what is missing.
 */
import type { BuildInput, ComponentDefinition } from '../definition.ts';
import { hasCrm } from '../event-path.ts';
import { hash } from '../hash.ts';
import { passwordKey, SLOTS } from '../logins.ts';
import { nameOf } from '../names.ts';
import { container, podTemplate, value } from '../pods.ts';
import { baseEnvironment, nodeRuntime, WORKLOAD_USER, workloadConnections } from '../workload.ts';
import { CRM_ROLE } from './crm.ts';
import { databaseClient } from './pgbouncer.ts';

/** The kubelet restarts the container after a failure, at most 5 minutes apart; a Job that has failed is not retried by Kubernetes. */
const BACKOFF_LIMIT = 2 ** 31 - 1;
const RESOURCES = { requests: { cpu: '50m', memory: '96Mi' }, limits: { cpu: '1', memory: '256Mi' } };

function pod(input: BuildInput) {
  const { crm } = input.spec.workloads;
  const database = databaseClient(input, CRM_ROLE);
  return podTemplate(input, {
    component: 'crm-seed',
    placement: crm,
    user: WORKLOAD_USER,
    secrets: database.secrets,
    gracePeriodSeconds: 30,
    restartPolicy: 'OnFailure',
    containers: [
      container(input, {
        name: 'crm-seed',
        image: 'workloads',
        command: ['node', 'workloads/crm/seed.ts'],
        env: [
          ...baseEnvironment(input, 'crm-seed', crm.logLevel),
          ...nodeRuntime(RESOURCES),
          ...database.env.filter(({ name }) => name !== 'DB_POOL_MAX'),
          value('SEED_CUSTOMERS', crm.seed.customers),
        ],
        resources: RESOURCES,
      }),
    ],
    volumes: [],
  });
}

export const definition: ComponentDefinition = {
  name: 'crm-seed',
  stage: 'workloads',
  present: (spec) => hasCrm(spec) && spec.workloads.crm.seed.enabled,
  connections: (all) => workloadConnections(all, 'pgbouncer'),
  reads: SLOTS.map((slot) => passwordKey(CRM_ROLE, slot)),
  manifests: (input) => {
    const template = pod(input);
    return [
      {
        kind: 'Job',
        name: nameOf(input, `crm-seed-${hash(template)}`),
        spec: { suspend: input.spec.hibernate, backoffLimit: BACKOFF_LIMIT, template },
      },
    ];
  },
};
