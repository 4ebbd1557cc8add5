/** A platform's Kafka as the operator itself reaches it: the same connection serves topics and the autoscaler's samples. */
import { Kafka, logLevel } from 'kafkajs';
import type { KafkaConnection } from '../../autoscale/index.ts';
import type { KafkaAccess } from '../../platform/index.ts';

/** Reads a value of a Secret in the platform's namespace; undefined when there is no such Secret or key. */
export type ReadSecret = (name: string, key: string) => string | undefined;

/** The connection, or what is missing to make one: a sentence each. */
export function kafkaConnection(access: KafkaAccess, read: ReadSecret): { connection?: KafkaConnection; missing: string[] } {
  const missing: string[] = [];
  const value = (name: string, key: string): string => {
    const text = read(name, key);
    if (text === undefined) missing.push(`Secret ${name} has no key ${key}`);
    return text ?? '';
  };
  const connection: KafkaConnection = { brokers: access.brokers };
  if (access.tls) connection.ssl = true;
  if (access.tls && access.caSecret) connection.ca = value(access.caSecret.name, access.caSecret.key);
  if (access.sasl) {
    const { mechanism, secretName, usernameKey, passwordKey } = access.sasl;
    connection.sasl = { mechanism, username: value(secretName, usernameKey), password: value(secretName, passwordKey) };
  }
  return missing.length > 0 ? { missing } : { connection, missing };
}

const CONNECT_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 15_000;

/** A client that gives up soon: whoever uses it tries again later. */
export function kafkaClient({ brokers, ssl, ca, sasl }: KafkaConnection): Kafka {
  return new Kafka({
    clientId: 'bss-operator',
    brokers,
    ssl: ca === undefined ? (ssl ?? false) : { ca: [ca] },
    ...(sasl === undefined ? {} : { sasl: saslOptions(sasl) }),
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: { retries: 2, initialRetryTime: 200, maxRetryTime: 2000 },
    logLevel: logLevel.NOTHING,
  });
}

/** kafkajs types each mechanism apart. */
function saslOptions({ mechanism, username, password }: NonNullable<KafkaConnection['sasl']>) {
  switch (mechanism) {
    case 'plain':
      return { mechanism, username, password } as const;
    case 'scram-sha-256':
      return { mechanism, username, password } as const;
    case 'scram-sha-512':
      return { mechanism, username, password } as const;
  }
}
