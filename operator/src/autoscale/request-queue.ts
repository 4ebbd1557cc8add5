import { createRequire } from 'node:module';

/** The part of kafkajs's queue of requests, one for each connection, that is corrected here. */
interface RequestQueue {
  readonly pending: readonly unknown[];
  scheduleCheckPendingRequests: (this: RequestQueue) => void;
}

const { prototype } = createRequire(import.meta.url)('kafkajs/src/network/requestQueue/index.js') as { prototype: RequestQueue };
const { scheduleCheckPendingRequests: schedule } = prototype;

/**
 * Checks for requests that wait only while some do. kafkajs schedules the next check after every check: each connection wakes the process every
 * millisecond for as long as it lasts, and takes about a second of processor time a minute (kafkajs issue 1704). Once for a process.
 */
export function checkOnlyWaitingRequests(): void {
  prototype.scheduleCheckPendingRequests = function scheduleCheck() {
    if (this.pending.length > 0) schedule.call(this);
  };
}
