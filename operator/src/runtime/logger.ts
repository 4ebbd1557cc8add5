/** Structured logs: one JSON object per line on standard output. */
import { pino, stdSerializers, stdTimeFunctions } from 'pino';
import type { Logger } from 'pino';

export type { Logger };

/**
 * @param options.level trace, debug, info, warn, error or fatal; default info
 * @param options.name which program speaks
 */
export function createLogger({ level = 'info', name = 'bss-operator' }: { level?: string; name?: string } = {}): Logger {
  return pino({
    name,
    level,
    // Names instead of numbers, and a time that people and Loki read alike.
    formatters: { level: (label) => ({ level: label }) },
    timestamp: stdTimeFunctions.isoTime,
    serializers: { error: stdSerializers.err },
    base: {},
  });
}
