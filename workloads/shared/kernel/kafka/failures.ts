/** Names of client errors that no later attempt can pass: the configuration or the broker's rights must change. */
const FATAL = new Set(['KafkaJSSASLAuthenticationError', 'KafkaJSUnsupportedMagicByteInMessageSet', 'KafkaJSNotImplemented']);
const FATAL_TYPES = new Set([
  'GROUP_AUTHORIZATION_FAILED',
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'INVALID_TOPIC_EXCEPTION',
]);

/** True when the error, or anything that caused it, can never pass by itself. */
export function isFatal(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { name, type } = cause as Error & { type?: string };
    if (FATAL.has(name) || (type !== undefined && FATAL_TYPES.has(type))) return true;
  }
  return false;
}

/** Pause before attempt number `failures` (from 1) in milliseconds: 0.25 s doubling to 5 s, with up to a fifth of jitter. */
export function backOff(failures: number): number {
  const base = Math.min(5_000, 250 * 2 ** Math.max(0, failures - 1));
  return Math.round(base * (0.8 + Math.random() * 0.2));
}

/** Rejects when `work` takes longer than `ms`; the work itself goes on unobserved. */
export async function withLimit<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not finished after ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
