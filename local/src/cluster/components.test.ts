import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMPONENT_NAMES, components, configFiles } from './components.ts';
import { nodeConfig } from './node-config.ts';
import { certificates } from './pki.ts';

const node = nodeConfig('one', false);

await test('every component keeps to the folders of its cluster', () => {
  const other = nodeConfig('two', false);
  for (const name of COMPONENT_NAMES) assert.ok(!components(other)[name].args.join(' ').includes('/one'), name);
  for (const [file, content] of Object.entries(configFiles(other))) assert.ok(!content.includes('/one'), file);
});

function flags(audit: boolean): string {
  return components(nodeConfig('one', audit)).apiserver.args.join(' ');
}

await test('requests are logged only when that is asked for', () => {
  assert.doesNotMatch(flags(false), /--audit/);
  assert.match(flags(true), /--audit-log-path=\/var\/lib\/bss-platform\/one\/logs\/audit.log/);
});

await test('a component uses a certificate of its own, and only the API server and its user are masters', () => {
  const files = configFiles(node);
  for (const client of ['kubelet', 'controller-manager', 'scheduler', 'proxy', 'dns']) {
    assert.match(files[`${client}.kubeconfig`] ?? '', new RegExp(`/pki/${client}\\.crt`));
  }
  const masters = certificates('one-node').filter(({ subject }) => subject.includes('system:masters'));
  assert.deepEqual(
    masters.map(({ file }) => file),
    ['apiserver-kubelet', 'admin'],
  );
});

await test('configuration files that are JSON can be parsed', () => {
  for (const [file, content] of Object.entries(configFiles(node))) {
    if (/\.(json|conflist|kubeconfig)$/.test(file)) assert.doesNotThrow(() => JSON.parse(content), file);
  }
});

await test('sockets stay within the 107 bytes of a Unix socket path for the longest name', () => {
  const { paths } = nodeConfig('a'.repeat(20), false);
  for (const path of [paths.containerdSocket, paths.tunnelSocket, paths.agentSocket, `${paths.state}/kubelet/pod-resources/kubelet.sock`]) {
    assert.ok(path.length <= 107, path);
  }
});
