import { isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';

/** Exit code for an invalid configuration (sysexits.h EX_CONFIG): only a changed value helps, not a restart. */
export const EXIT_CONFIG = 78;

/** An invalid configuration; the message names each variable and the values that it accepts. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const present = z.string().min(1);
const port = z.coerce.number({ error: 'write a port number from 1 to 65535' }).int().min(1).max(65535);

/** `"true"` or `"false"`; absent means false. */
export const flag = z
  .enum(['true', 'false'], { error: 'write "true" or "false"' })
  .optional()
  .transform((value) => value === 'true');

/** A whole number within bounds, with a default for an absent variable. */
export const count = (min: number, max: number, fallback: number) =>
  z.coerce
    .number({ error: `write a whole number from ${min} to ${max}` })
    .int(`write a whole number from ${min} to ${max}`)
    .min(min, `write a whole number from ${min} to ${max}`)
    .max(max, `write a whole number from ${min} to ${max}`)
    .default(fallback);

/** A Kafka topic name. */
export const topicName = z.string().regex(/^[A-Za-z0-9._-]{1,249}$/, 'write a Kafka topic name: letters, digits, ".", "_" and "-"');

/** Variables that every workload reads. */
export const baseEnv = {
  PLATFORM: present.default('local'),
  NAMESPACE: present.default('default'),
  POD_NAME: present.default('local'),
  OTEL_SERVICE_NAME: present.optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url({ protocol: /^https?$/, error: 'write an http URL such as http://collector:4318' }).optional(),
  OTEL_TRACES_SAMPLER_ARG: z.coerce
    .number({ error: 'write a sampling ratio from 0 to 1' })
    .min(0, 'write a sampling ratio from 0 to 1')
    .max(1, 'write a sampling ratio from 0 to 1')
    .default(1),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], { error: 'write one of trace, debug, info, warn, error, fatal' })
    .default('info'),
  METRICS_PORT: port.default(9464),
};

/** The port of the workload's own HTTP API, and the most requests that it handles at a time. */
export const httpEnv = { PORT: port.default(8080), MAX_REQUESTS_IN_FLIGHT: count(1, 10_000, 200) };

/** Who the clients of an HTTP API are, and how much each may send. */
export const clientEnv = {
  /** Requests of one client: an API key, the subject of a token, or an address. */
  REQUESTS_PER_SECOND: count(1, 1_000_000, 2_000),
  /** Failed authentications of one address. */
  AUTH_FAILURES_PER_MINUTE: count(1, 1_000_000, 60),
  /** Proxies whose X-Forwarded-For names the client. */
  TRUSTED_PROXIES: z
    .string()
    .default('')
    .transform((list) => list.split(',').filter((network) => network !== ''))
    .refine((list) => list.every(isNetwork), 'write a comma list of networks in CIDR notation, such as 10.0.0.0/8'),
};

function isNetwork(text: string): boolean {
  const [address = '', bits = '', ...rest] = text.split('/');
  const most = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1;
  return rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= most;
}

/** How to reach Kafka. */
export const kafkaEnv = {
  KAFKA_BROKERS: z
    .string({ error: 'write a comma list of host:port, such as kafka:9092' })
    .regex(/^[^\s,:]+:\d+(,[^\s,:]+:\d+)*$/, 'write a comma list of host:port, such as kafka:9092')
    .transform((list) => list.split(',')),
  KAFKA_SSL: flag,
  /** Files with the certificate and the private key of the client in PEM. */
  KAFKA_SSL_CERTIFICATE: present.optional(),
  KAFKA_SSL_KEY: present.optional(),
  KAFKA_SASL_MECHANISM: z
    .enum(['plain', 'scram-sha-256', 'scram-sha-512'], { error: 'write plain, scram-sha-256 or scram-sha-512' })
    .optional(),
  KAFKA_SASL_USERNAME: present.optional(),
  KAFKA_SASL_PASSWORD: present.optional(),
};

const postgresUrl = z.url({ protocol: /^postgres(ql)?$/, error: 'write postgresql://user@host:port/database' });

/** How to reach Postgres; the password is separate, because it comes from a Secret. */
export const databaseEnv = {
  DATABASE_URL: postgresUrl,
  PGPASSWORD: z.string({ error: 'set it from the Secret of the platform' }),
  DB_POOL_MAX: count(1, 100, 4),
};

/** As {@link databaseEnv}, for the migration job. */
export const adminDatabaseEnv = { DATABASE_ADMIN_URL: postgresUrl, PGPASSWORD: databaseEnv.PGPASSWORD };

/**
 * Checks the environment against a schema.
 * @param shape zod fields by variable name; variables that it does not name are ignored, empty ones count as absent.
 * @throws ConfigError with one line for each variable that is missing or wrong
 */
export function loadConfig<T extends z.ZodRawShape>(shape: T, env: NodeJS.ProcessEnv = process.env): z.output<z.ZodObject<T>> {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const result = z.object(shape).safeParse(given);
  if (result.success) return result.data;
  const lines = result.error.issues.map((issue) => describe(String(issue.path[0]), issue.message, given));
  throw new ConfigError(`The configuration is invalid:\n${[...new Set(lines)].join('\n')}`);
}

function describe(variable: string, advice: string, env: NodeJS.ProcessEnv): string {
  const value = env[variable];
  if (value === undefined) return `  ${variable} is missing: ${advice}`;
  const shown = /PASSWORD|TOKEN|SECRET|API_KEY(_|$)/.test(variable) ? '(hidden)' : JSON.stringify(value);
  return `  ${variable} is ${shown}: ${advice}`;
}
