/** The operator's own connection to a platform's Kafka, for topics and for the autoscaler's samples. */
import { Kafka, logLevel } from 'kafkajs';
import type { KafkaConnection } from '../../autoscale/index.ts';
import type { KafkaAccess } from '../../api/index.ts';

/** Reads a value of a Secret in the platform's namespace; undefined when the Secret or key does not exist. */
export type ReadSecret = (name: string, key: string) => string | undefined;

/** The connection, or one sentence for each missing value. */
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
  if (access.tls && access.clientCertificate) {
    const { secretName, certificateKey, keyKey } = access.clientCertificate;
    connection.client = { certificate: value(secretName, certificateKey), key: value(secretName, keyKey) };
  }
  if (access.sasl) {
    const { mechanism, secretName, usernameKey, passwordKey } = access.sasl;
    connection.sasl = { mechanism, username: value(secretName, usernameKey), password: value(secretName, passwordKey) };
  }
  return missing.length > 0 ? { missing } : { connection, missing };
}

const CONNECT_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 15_000;

/** A client with short timeouts and few retries: its callers retry later. */
export function kafkaClient({ brokers, ssl, ca, client, sasl }: KafkaConnection): Kafka {
  const tls = { ...(ca === undefined ? {} : { ca: [ca] }), ...(client === undefined ? {} : { cert: client.certificate, key: client.key }) };
  return new Kafka({
    clientId: 'bss-operator',
    brokers,
    ssl: Object.keys(tls).length > 0 ? tls : (ssl ?? false),
    ...(sasl === undefined ? {} : { sasl: saslOptions(sasl) }),
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: { retries: 2, initialRetryTime: 200, maxRetryTime: 2000 },
    logLevel: logLevel.NOTHING,
  });
}

/** kafkajs has a type for each mechanism. */
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
