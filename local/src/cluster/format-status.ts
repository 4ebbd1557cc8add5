/** The text of `status`. */
import type { AgentStatus } from './protocol.ts';

const MIB = 1024 ** 2;

/** @param memory bytes in use; undefined where it cannot be read */
export function formatStatus(
  name: string,
  kubeconfig: string,
  state: AgentStatus,
  memory: { readonly system: number | undefined; readonly pods: number | undefined },
): string {
  const components = state.components.map(({ name: component, pid, restarts, uptimeSeconds }) =>
    [
      component.padEnd(20),
      (pid === undefined ? 'down' : 'up').padEnd(6),
      `${uptimeSeconds} s`.padStart(9),
      String(restarts).padStart(9),
    ].join(''),
  );
  const forwards = state.forwards.map(({ host, port, localPort }) => `  127.0.0.1:${localPort} -> ${host}:${port}`);
  return [
    `cluster ${name}: ${state.ready ? 'ready' : 'starting'} since ${state.startedAt}`,
    `KUBECONFIG ${kubeconfig}`,
    `memory: ${mib(memory.system)} control plane and node, ${mib(memory.pods)} pods`,
    `API server: https://127.0.0.1:${state.apiPort}`,
    ...(forwards.length > 0 ? ['forwards:', ...forwards] : []),
    '',
    `${'COMPONENT'.padEnd(20)}${'STATE'.padEnd(6)}${'FOR'.padStart(9)}${'RESTARTS'.padStart(9)}`,
    ...components,
  ].join('\n');
}

function mib(bytes: number | undefined): string {
  return bytes === undefined ? 'unknown' : `${Math.round(bytes / MIB)} MiB`;
}
