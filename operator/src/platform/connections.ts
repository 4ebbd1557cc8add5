/** Where the stores are and who may enter: the same answers for the pods and for the operator itself. */
import type { V1EnvVar, V1Volume } from '@kubernetes/client-node';
import { ADMIN_KEY, loginOf, passwordKey as keyOfLogin, type DatabaseRole } from './credentials.ts';
import { addressOf, credentialsName, nameOf, PORTS } from './names.ts';
import { fromSecret, secretVolume, value } from './pods.ts';
import type { PlatformInput, SecretUse } from './types.ts';

type Platform = Pick<PlatformInput, 'name' | 'namespace' | 'spec'>;

/** How to reach Kafka. Secrets are named, not read. */
export interface KafkaAccess {
  brokers: string[];
  tls: boolean;
  /** Key with the certificate authority in PEM, where it is not a public one. */
  caSecret?: { name: string; key: string };
  sasl?: { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; secretName: string; usernameKey: string; passwordKey: string };
}

export function kafkaAccess(platform: Platform): KafkaAccess {
  const external = platform.spec.kafka.external;
  if (!external) return { brokers: [`${addressOf(platform, 'kafka')}:${PORTS.kafka}`], tls: false };
  const { brokers, tls, sasl } = external;
  return { brokers, tls: tls.enabled, ...(tls.caSecret ? { caSecret: tls.caSecret } : {}), ...(sasl ? { sasl } : {}) };
}

const CA_DIRECTORY = '/etc/kafka-ca';

/** Environment, mounts and Secrets of a pod that speaks to Kafka. */
export function kafkaClient(platform: Platform): {
  env: V1EnvVar[];
  volumes: V1Volume[];
  mounts: Record<string, string>;
  secrets: SecretUse[];
} {
  const { brokers, tls, caSecret, sasl } = kafkaAccess(platform);
  const env = [
    value('KAFKA_BROKERS', brokers.join(',')),
    ...(tls ? [value('KAFKA_SSL', 'true')] : []),
    ...(caSecret ? [value('NODE_EXTRA_CA_CERTS', `${CA_DIRECTORY}/ca.crt`)] : []),
    ...(sasl
      ? [
          value('KAFKA_SASL_MECHANISM', sasl.mechanism),
          fromSecret('KAFKA_SASL_USERNAME', sasl.secretName, sasl.usernameKey),
          fromSecret('KAFKA_SASL_PASSWORD', sasl.secretName, sasl.passwordKey),
        ]
      : []),
  ];
  return {
    env,
    volumes: caSecret ? [secretVolume('kafka-ca', caSecret.name, { [caSecret.key]: 'ca.crt' })] : [],
    mounts: caSecret ? { [CA_DIRECTORY]: 'kafka-ca' } : {},
    secrets: [
      ...(sasl ? [{ name: sasl.secretName, keys: [sasl.usernameKey, sasl.passwordKey] }] : []),
      ...(caSecret ? [{ name: caSecret.name, keys: [caSecret.key] }] : []),
    ],
  };
}

/** The PostgreSQL server itself, past PgBouncer. */
export interface PostgresAccess {
  host: string;
  port: number;
  tls: 'disable' | 'require';
  /** Name of the administrator, or the Secret's key that holds it. */
  adminUser: { value: string } | { secretName: string; key: string };
  adminPassword: { secretName: string; key: string };
}

export function postgresAccess(platform: Platform): PostgresAccess {
  const external = platform.spec.postgres.external;
  if (!external) {
    return {
      host: addressOf(platform, 'postgres'),
      port: PORTS.postgres,
      tls: 'disable',
      adminUser: { value: 'postgres' },
      adminPassword: { secretName: credentialsName(platform), key: ADMIN_KEY },
    };
  }
  const { name, usernameKey, passwordKey } = external.adminSecret;
  return {
    host: external.host,
    port: external.port,
    tls: external.tls,
    adminUser: { secretName: name, key: usernameKey },
    adminPassword: { secretName: name, key: passwordKey },
  };
}

/** Variables `userVariable` and `passwordVariable` of the administrator, and the Secrets behind them. */
export function postgresAdmin(
  platform: Platform,
  userVariable: string,
  passwordVariable: string,
): { env: V1EnvVar[]; secrets: SecretUse[] } {
  const { adminUser, adminPassword } = postgresAccess(platform);
  const user = 'value' in adminUser ? value(userVariable, adminUser.value) : fromSecret(userVariable, adminUser.secretName, adminUser.key);
  return {
    env: [user, fromSecret(passwordVariable, adminPassword.secretName, adminPassword.key)],
    secrets: [{ name: adminPassword.secretName, keys: [...('value' in adminUser ? [] : [adminUser.key]), adminPassword.key] }],
  };
}

/**
 * Environment of a workload that reaches the database through PgBouncer under a login of its own. The login is written out, and its password has
 * a key of its own, so that a pod that starts again goes on with the one that it was made with.
 */
export function databaseClient(
  input: Pick<PlatformInput, 'name' | 'namespace' | 'spec' | 'slots'>,
  role: DatabaseRole,
  poolSize: number,
): { env: V1EnvVar[]; secrets: SecretUse[] } {
  const secret = credentialsName(input);
  const { active } = input.slots;
  const address = `${addressOf(input, 'pgbouncer')}:${input.spec.pgbouncer.port}`;
  const key = keyOfLogin(role, active);
  return {
    env: [
      value('DATABASE_URL', `postgresql://${loginOf(role, active)}@${address}/ledger`),
      fromSecret('PGPASSWORD', secret, key),
      value('DB_POOL_MAX', poolSize),
    ],
    secrets: [{ name: secret, keys: [key] }],
  };
}

/** Address of Redis and its password; nothing when the platform has none. */
export function redisAccess(platform: Platform): { url: string; password?: { secretName: string; key: string } } | undefined {
  const { enabled, external } = platform.spec.redis;
  if (!enabled) return undefined;
  if (!external) {
    return {
      url: `redis://${addressOf(platform, 'redis')}:${PORTS.redis}`,
      password: { secretName: credentialsName(platform), key: 'redis-password' },
    };
  }
  const { host, port, tls, passwordSecret } = external;
  const url = `${tls ? 'rediss' : 'redis'}://${host}:${port}`;
  return passwordSecret ? { url, password: { secretName: passwordSecret.name, key: passwordSecret.key } } : { url };
}

/** Name by which the workloads' HTTP Services are reached from within the platform. */
export function httpAddress(platform: Platform, component: string): string {
  return `http://${nameOf(platform, component)}:${PORTS.http}`;
}
