import { isSpanContextValid, trace } from '@opentelemetry/api';
import { pino, stdSerializers, stdTimeFunctions } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import { redactRecord, secretsOf } from './redact.ts';

export type { Logger } from 'pino';

/** Fields that every record of a process carries. */
export interface LogIdentity {
  service: string;
  platform: string;
  namespace: string;
  pod: string;
}

/** The ids that join a log record to its trace; empty outside a span. */
function traceFields(): Record<string, string> {
  const context = trace.getActiveSpan()?.spanContext();
  return context && isSpanContextValid(context) ? { trace_id: context.traceId, span_id: context.spanId } : {};
}

/**
 * A logger of JSON lines on standard output (or on `destination`).
 * Levels: info for normal operation, warn for what is retried or refused, error for what an operation cannot recover from.
 * Every line is redacted as a whole: a message, an error of a library or a nested field can contain a credential.
 */
export function createLogger(identity: LogIdentity, level: string, destination?: DestinationStream): Logger {
  const secrets = secretsOf(process.env);
  const options = {
    level,
    base: { ...identity },
    messageKey: 'message',
    errorKey: 'error',
    timestamp: stdTimeFunctions.isoTime,
    serializers: { error: stdSerializers.err },
    formatters: { level: (label: string) => ({ level: label }) },
    mixin: traceFields,
    hooks: { streamWrite: (line: string) => redactRecord(line, secrets) },
  };
  return destination ? pino(options, destination) : pino(options);
}
