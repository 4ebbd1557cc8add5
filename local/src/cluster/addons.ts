/** What a bare API server lacks: the address of cluster DNS with its rights, and a default StorageClass. */
import type { ApiClient } from './api-client.ts';
import { DNS_SERVICE_IP, NODE_IP } from './node-config.ts';

export const PROVISIONER = 'bss-platform.io/local';

const DNS = { name: 'kube-dns', namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns', 'kubernetes.io/name': 'CoreDNS' } };
const DNS_PORTS = [
  { name: 'dns', port: 53, protocol: 'UDP' },
  { name: 'dns-tcp', port: 53, protocol: 'TCP' },
];
const RBAC = 'rbac.authorization.k8s.io';

/** Path of the collection -> object, in no particular order. */
export const ADDONS: readonly (readonly [string, object])[] = [
  [
    '/apis/storage.k8s.io/v1/storageclasses',
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'standard', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner: PROVISIONER,
      reclaimPolicy: 'Delete',
      volumeBindingMode: 'Immediate',
    },
  ],
  [
    `/apis/${RBAC}/v1/clusterroles`,
    {
      apiVersion: `${RBAC}/v1`,
      kind: 'ClusterRole',
      metadata: { name: 'system:coredns' },
      rules: [
        { apiGroups: [''], resources: ['services', 'pods', 'namespaces'], verbs: ['list', 'watch'] },
        { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
      ],
    },
  ],
  [
    `/apis/${RBAC}/v1/clusterrolebindings`,
    {
      apiVersion: `${RBAC}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: 'system:coredns' },
      roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: 'system:coredns' },
      subjects: [{ apiGroup: RBAC, kind: 'User', name: 'system:coredns' }],
    },
  ],
  [
    '/api/v1/namespaces/kube-system/services',
    { apiVersion: 'v1', kind: 'Service', metadata: DNS, spec: { clusterIP: DNS_SERVICE_IP, ports: DNS_PORTS } },
  ],
  [
    '/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices',
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'kube-dns-node', namespace: 'kube-system', labels: { 'kubernetes.io/service-name': 'kube-dns' } },
      addressType: 'IPv4',
      ports: DNS_PORTS,
      endpoints: [{ addresses: [NODE_IP], conditions: { ready: true } }],
    },
  ],
];

/** Creates them all; the namespace kube-system must exist. */
export async function createAddons(api: ApiClient): Promise<void> {
  await Promise.all(ADDONS.map(([path, object]) => api.create(path, object)));
}
