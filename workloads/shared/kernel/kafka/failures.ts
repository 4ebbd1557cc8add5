/** Names of client errors that no retry can mend: the configuration or the access rights must change. */
const FATAL = new Set(['KafkaJSSASLAuthenticationError', 'KafkaJSUnsupportedMagicByteInMessageSet', 'KafkaJSNotImplemented']);
const FATAL_TYPES = new Set([
  'GROUP_AUTHORIZATION_FAILED',
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'INVALID_TOPIC_EXCEPTION',
]);

/** True when the error, or one of its causes, cannot go away by itself. */
export function isFatal(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { name, type } = cause as Error & { type?: string };
    if (FATAL.has(name) || (type !== undefined && FATAL_TYPES.has(type))) return true;
  }
  return false;
}

/** True when a batch or one of its records is above the topic's `max.message.bytes`. */
export function isTooLarge(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ((cause as Error & { type?: string }).type === 'MESSAGE_TOO_LARGE') return true;
  }
  return false;
}

/** Rejects when `work` takes longer than `ms`; the work itself continues unobserved. */
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
