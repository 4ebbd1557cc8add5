/** Structured logs: one JSON object per line on standard output. */
import { pino, stdSerializers, stdTimeFunctions } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import { redactor } from './redact.ts';

export type { Logger };

/** Variables of the environment whose values are secrets. */
const SECRET_VARIABLE = /PASSWORD|TOKEN|SECRET|API_KEY/;
/** A field whose value is a credential, whatever it looks like. The field `secret` is not one: it names a Secret. */
const CREDENTIAL = /("[\w.-]{0,40}(?:password|passwd|authorization|api[_-]?key|token|credential)[\w.-]{0,40}":)"(?:[^"\\]|\\.)*"/gi;

/**
 * Every line is redacted as a whole: an error of a library can contain a credential.
 * @param options.level trace, debug, info, warn, error or fatal; default info
 * @param options.name which program speaks
 * @param destination standard output by default
 */
export function createLogger(
  { level = 'info', name = 'bss-operator' }: { level?: string; name?: string } = {},
  destination?: DestinationStream,
): Logger {
  const variables = Object.entries(process.env).filter(([variable]) => SECRET_VARIABLE.test(variable));
  const redact = redactor(variables.map(([, value = '']) => value));
  const options = {
    name,
    level,
    // Names instead of numbers, and a time that people and Loki read alike.
    formatters: { level: (label: string) => ({ level: label }) },
    timestamp: stdTimeFunctions.isoTime,
    serializers: { error: stdSerializers.err },
    base: {},
    hooks: { streamWrite: (line: string) => redact(line.replace(CREDENTIAL, '$1"<redacted>"')) },
  };
  return destination ? pino(options, destination) : pino(options);
}
