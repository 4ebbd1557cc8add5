/** Messages between the supervisor, the agent and the commands. */
import type { ComponentName } from './components.ts';

/** A part of the start that is done; `ready` and `failed` are the last. */
export type Stage = ComponentName | 'containers' | 'api' | 'ready' | 'failed';

export interface NodeEvent {
  readonly stage: Stage;
  /** With `failed`: the component whose log has the cause. */
  readonly component?: ComponentName;
  readonly message?: string;
}

export interface ComponentStatus {
  readonly name: ComponentName;
  /** undefined while it waits to be started again. */
  readonly pid: number | undefined;
  readonly restarts: number;
  /** Seconds since its present process was started. */
  readonly uptimeSeconds: number;
}

export interface Forward {
  /** DNS name or address inside the cluster. */
  readonly host: string;
  readonly port: number;
  /** Port on the host's loopback. */
  readonly localPort: number;
}

/** To the supervisor: `status` is answered with a line; anything else opens a connection to that host and port. */
export interface TunnelRequest {
  readonly op?: 'status';
  readonly host?: string;
  readonly port?: number;
}

export type AgentRequest = { readonly op: 'status' } | { readonly op: 'forward'; readonly host: string; readonly port: number };

export interface AgentStatus {
  readonly ready: boolean;
  readonly agentPid: number;
  /** Process 1 of the node, as the host numbers it. */
  readonly initPid: number | undefined;
  readonly apiPort: number;
  readonly startedAt: string;
  readonly forwards: readonly Forward[];
  readonly components: readonly ComponentStatus[];
}
