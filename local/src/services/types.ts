/** Servers that modules of this folder hand to one another. */
import type { Service } from './process.ts';

export interface KafkaService extends Service {
  /** One `host:port`. */
  readonly brokers: string[];
  /** Addresses `host:port` of the listeners that `kafkaListeners` asks for, by their names. */
  readonly listeners?: Readonly<Record<string, string>>;
  /** Credentials for PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512; only with `kafkaSasl`. */
  readonly sasl?: { readonly username: string; readonly password: string };
}

/** How a test controls the API server; etcd keeps running. `stop` stops both and removes their data. */
export interface ApiServer extends Omit<Service, 'start'> {
  readonly url: string;
  /** For a user in `system:masters`, by token. */
  readonly kubeconfigPath: string;
  readonly token: string;
  /** JSON lines; empty unless asked for. */
  readonly auditLogPath: string;
  /** Starts it again after `kill`, with the same address and data. */
  start(): Promise<void>;
}
