/**
 * Which parts of the event path a platform has: transfers (orchestrator), the relay of the outbox, the read model, accounts, and crm. A part whose `enabled`
 * is absent follows what it depends on, so that a platform without the ledger needs no change. Rules of the definition refuse a part that is
 * switched on without what it depends on.
 */
import { z } from 'zod';
import { defaultText } from '../api/rules.ts';
import type { BssPlatformSpec } from './spec.ts';

/** `enabled` of a part that follows others. @param what the part, as descriptions name it @param text the default in words */
export const follows = (what: string, text: string) => defaultText(z.boolean().optional().describe(`Run ${what}.`), text);

/** Both write journal entries, and with each a row of the outbox. */
function writesEntries({ ledger, interest }: BssPlatformSpec['workloads']): boolean {
  return ledger.enabled || interest.enabled;
}

export function hasOutboxRelay({ workloads }: BssPlatformSpec): boolean {
  return writesEntries(workloads) && (workloads.outboxRelay.enabled ?? true);
}

export function hasOrchestrator({ workloads }: BssPlatformSpec): boolean {
  return workloads.ledger.enabled && (workloads.orchestrator.enabled ?? true);
}

export function hasReadModel(spec: BssPlatformSpec): boolean {
  return hasOutboxRelay(spec) && (spec.workloads.readModel.enabled ?? true);
}

export function hasAccounts({ workloads }: BssPlatformSpec): boolean {
  return workloads.ledger.enabled && (workloads.accounts.enabled ?? true);
}

/** Its clients come through the gateway. */
export function hasCrm({ workloads }: BssPlatformSpec): boolean {
  return workloads.gateway.enabled && (workloads.crm.enabled ?? true);
}
