import { withOwnDeadline } from '../shared/kernel/deadline.ts';
import type { Logger } from '../shared/kernel/log.ts';
import { repeat } from '../shared/kernel/repeat.ts';
import { untraced } from '../shared/kernel/telemetry.ts';
import { publishEvents } from './outbox.ts';
import type { OutboxParts } from './outbox.ts';
import { sweep } from './retention.ts';
import type { Retention, RetentionParts } from './retention.ts';

const RELAY_INTERVAL_MS = 100;
const MAX_RELAY_INTERVAL_MS = 10_000;
const EVENTS = 500;
const SWEEP_INTERVAL_MS = 60_000;
const SWEEP_DEADLINE_MS = 30_000;

interface Parts {
  outbox: OutboxParts;
  retention: RetentionParts & Retention;
  log: Logger;
}

/** Publishes events, and ends what is kept for a time. Every replica does. @returns stops after the rounds in progress */
export function startBackground({ outbox, retention, log }: Parts): () => Promise<void> {
  const publish = async (): Promise<boolean> => (await untraced(() => publishEvents(outbox, EVENTS))) === EVENTS;
  const stops = [
    repeat({ log, what: 'publish changes', intervalMs: RELAY_INTERVAL_MS, maxIntervalMs: MAX_RELAY_INTERVAL_MS, round: publish }),
    repeat({
      log,
      what: 'end the retention of deleted resources',
      intervalMs: SWEEP_INTERVAL_MS,
      round: () => withOwnDeadline(SWEEP_DEADLINE_MS, () => untraced(() => sweep(retention, retention))),
    }),
  ];
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
  };
}
