/** Servers that modules of this folder hand to one another. */
import type { Service } from './process.ts';

export interface KafkaService extends Service {
  /** One `host:port`. */
  readonly brokers: string[];
  /** Who may connect, by PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512; only with `kafkaSasl`. */
  readonly sasl?: { readonly username: string; readonly password: string };
}

/** What a test does to the API server; etcd keeps running. `stop` ends both and removes everything. */
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
