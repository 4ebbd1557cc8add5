import { readFileSync } from 'node:fs';
import { Kafka, logLevel } from 'kafkajs';
import type { KafkaConfig, LogEntry, SASLOptions } from 'kafkajs';
import type { Logger } from '../log.ts';
import { registerCodecs } from './codecs.ts';
import { decodeHeadersLate } from './record-decoder.ts';
import { checkOnlyWaitingRequests } from './request-queue.ts';

export type { Admin } from 'kafkajs';

/** Clients know of new partitions, and use them, after this time; kafkajs's default is five minutes. */
export const METADATA_MAX_AGE_MS = 30_000;

/** How to reach a Kafka cluster; the fields of the environment variables KAFKA_*. */
export interface KafkaConnection {
  KAFKA_BROKERS: string[];
  KAFKA_SSL: boolean;
  KAFKA_SSL_CERTIFICATE?: string | undefined;
  KAFKA_SSL_KEY?: string | undefined;
  KAFKA_SASL_MECHANISM?: 'plain' | 'scram-sha-256' | 'scram-sha-512' | undefined;
  KAFKA_SASL_USERNAME?: string | undefined;
  KAFKA_SASL_PASSWORD?: string | undefined;
}

registerCodecs();
checkOnlyWaitingRequests();
decodeHeadersLate();

/** A client whose log lines go to `log`. Nothing is connected yet. */
export function createKafka(connection: KafkaConnection, clientId: string, log: Logger): Kafka {
  const sasl = saslOptions(connection);
  const config: KafkaConfig = {
    clientId,
    brokers: connection.KAFKA_BROKERS,
    ssl: tlsOptions(connection),
    connectionTimeout: 3_000,
    authenticationTimeout: 5_000,
    requestTimeout: 15_000,
    retry: { retries: 4, initialRetryTime: 200, maxRetryTime: 3_000 },
    logLevel: logLevel.INFO,
    logCreator: () => (entry) => forward(log, entry),
    ...(sasl ? { sasl } : {}),
  };
  return new Kafka(config);
}

/** The operator replaces the pods when the files change, so they are read once. */
function tlsOptions({
  KAFKA_SSL: ssl,
  KAFKA_SSL_CERTIFICATE: certificate,
  KAFKA_SSL_KEY: key,
}: KafkaConnection): NonNullable<KafkaConfig['ssl']> {
  if (!ssl || certificate === undefined || key === undefined) return ssl;
  return { cert: readFileSync(certificate), key: readFileSync(key) };
}

function saslOptions(connection: KafkaConnection): SASLOptions | undefined {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username = '', KAFKA_SASL_PASSWORD: password = '' } = connection;
  return mechanism && { mechanism, username, password };
}

/**
 * The client reports every failed attempt as an error although it retries: those are warnings here. What it cannot recover
 * from reaches the service as an exception or a crash event, and is logged as an error there.
 */
function forward(log: Logger, { level, log: { message, logger: _logger, timestamp: _timestamp, ...fields }, namespace }: LogEntry): void {
  const record = { ...fields, component: `kafka/${namespace}` };
  if (level === logLevel.ERROR || level === logLevel.WARN) log.warn(record, message);
  else log.debug(record, message);
}
