/** How to reach an existing Kafka cluster: the fields that a platform and a ConsumerAutoscaler share. */
import { z } from 'zod';
import { dataKey, objectName, PORT_PATTERN, secretKey } from './common.ts';
import { rule } from './rules.ts';

const BROKER = `^[A-Za-z0-9_]([-A-Za-z0-9_.]*[A-Za-z0-9])?:${PORT_PATTERN}$`;

const broker = rule(z.string().min(3).max(260).describe('Address of a broker: host:port.'), {
  cel: `self.matches('${BROKER}')`,
  message: 'write each broker as host:port, such as kafka.example.com:9092, without a scheme',
  check: (given) => new RegExp(BROKER).test(given),
});

const clientCertificate = z
  .strictObject({
    secretName: objectName('Secret in the same namespace that holds certificate and key in PEM, such as one of type kubernetes.io/tls.'),
    certificateKey: dataKey('Key of the certificate.', 'tls.crt'),
    keyKey: dataKey('Key of the private key.', 'tls.key'),
  })
  .describe('Certificate by which clients authenticate with the brokers (mutual TLS).');

const tls = rule(
  z.strictObject({
    enabled: z.boolean().default(false).describe('Connect by TLS.'),
    caSecret: secretKey('Certificate authority of the brokers in PEM, if it is not publicly trusted.', 'ca.crt').optional(),
    clientCertificate: clientCertificate.optional(),
  }),
  {
    cel: 'self.enabled || !has(self.clientCertificate)',
    message: 'clientCertificate has no effect without TLS: set enabled: true, or remove clientCertificate',
    fieldPath: '.clientCertificate',
    check: ({ enabled, clientCertificate: given }) => enabled || given === undefined,
  },
);

/** Fields of an object that names a Kafka cluster. */
export const KAFKA_FIELDS = {
  brokers: z.array(broker).min(1).max(16).meta({ 'x-kubernetes-list-type': 'set' }).describe('Bootstrap addresses of the cluster.'),
  tls: tls.prefault({}).describe('TLS between clients and brokers.'),
  sasl: z
    .strictObject({
      mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).default('scram-sha-512').describe('SASL mechanism.'),
      secretName: objectName('Secret in the same namespace that holds user name and password.'),
      usernameKey: dataKey('Key of the user name.', 'username'),
      passwordKey: dataKey('Key of the password.', 'password'),
    })
    .optional()
    .describe('SASL authentication with the brokers.'),
};

const fields = z.strictObject(KAFKA_FIELDS);
type Fields = Pick<z.output<typeof fields>, keyof typeof KAFKA_FIELDS>;

/** How to reach Kafka. Secrets are named, not read. */
export interface KafkaAccess {
  brokers: string[];
  tls: boolean;
  /** Key with the certificate authority in PEM, for brokers whose certificates are not publicly trusted. */
  caSecret?: { name: string; key: string };
  /** Keys with the certificate and the private key of the clients. */
  clientCertificate?: { secretName: string; certificateKey: string; keyKey: string };
  sasl?: { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; secretName: string; usernameKey: string; passwordKey: string };
}

export function accessOf({ brokers, tls: { enabled, caSecret, clientCertificate: client }, sasl }: Fields): KafkaAccess {
  return {
    brokers,
    tls: enabled,
    ...(caSecret ? { caSecret } : {}),
    ...(client ? { clientCertificate: client } : {}),
    ...(sasl ? { sasl } : {}),
  };
}

/** Secrets that a client reads to connect, with their keys. */
export function secretsOf({ sasl, caSecret, clientCertificate: client }: KafkaAccess): { name: string; keys: string[] }[] {
  return [
    ...(sasl ? [{ name: sasl.secretName, keys: [sasl.usernameKey, sasl.passwordKey] }] : []),
    ...(caSecret ? [{ name: caSecret.name, keys: [caSecret.key] }] : []),
    ...(client ? [{ name: client.secretName, keys: [client.certificateKey, client.keyKey] }] : []),
  ];
}
