/** Requests of clients to the gateway at a fixed rate, whatever becomes of them. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Environment } from '../environment.ts';

/** Further requests are left out while so many wait: an outage must not pile them up. */
const MOST_IN_FLIGHT = 40;

export interface Traffic {
  /** Status codes with how often they were answered; 0 counts requests without an answer. */
  readonly answers: ReadonlyMap<number, number>;
  /** Sends no more, and waits for the last answers. */
  stop(): Promise<void>;
}

/** Reads accounts and statements, which the ledger reads from its database. */
export async function startTraffic({ gateway, platform }: Environment, perSecond: number): Promise<Traffic> {
  const headers = { authorization: `Bearer ${await platform.credential('api-key')}` };
  const [first] = await gateway.accounts(1);
  const paths = ['/api/v1/accounts?limit=5', `/api/v1/accounts/${first?.id}/statement?limit=5`];
  const answers = new Map<number, number>();
  const open = new Set<Promise<void>>();
  const send = async (path: string): Promise<void> => {
    const status = await statusOf(gateway.url + path, headers);
    answers.set(status, (answers.get(status) ?? 0) + 1);
  };
  let stopped = false;
  const run = async (): Promise<void> => {
    for (let turn = 0; !stopped; turn += 1) {
      if (open.size < MOST_IN_FLIGHT) {
        const request = send(paths[turn % paths.length] ?? '').finally(() => open.delete(request));
        open.add(request);
      }
      await pause(1000 / perSecond);
    }
    await Promise.all(open);
  };
  const done = run();
  const stop = (): Promise<void> => {
    stopped = true;
    return done;
  };
  return { answers, stop };
}

async function statusOf(url: string, headers: Record<string, string>): Promise<number> {
  try {
    const response = await fetch(url, { headers });
    await response.arrayBuffer();
    return response.status;
  } catch {
    return 0;
  }
}
