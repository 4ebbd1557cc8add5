/** Accounts and the double-entry journal. */
import { databasePools } from '../api/index.ts';
import { blueprint, type Blueprint } from './component.ts';
import { databaseClient } from './connections.ts';
import { PORTS } from './names.ts';
import { disruptionBudget, service } from './parts.ts';
import type { PlatformInput } from './types.ts';
import { workload } from './workload.ts';

export function ledgerComponent(input: PlatformInput): Blueprint | undefined {
  const { ledger } = input.spec.workloads;
  if (!ledger.enabled) return undefined;
  const database = databaseClient(input, 'ledger', databasePools(input.spec).ledger);
  return blueprint('ledger', 'workloads', [
    service(input, 'ledger', { http: PORTS.http }),
    workload(input, {
      name: 'ledger',
      spec: ledger,
      replicas: ledger.replicas,
      env: database.env,
      secrets: database.secrets,
      http: true,
      gracePeriodSeconds: 30,
    }),
    disruptionBudget(input, 'ledger'),
  ]);
}
