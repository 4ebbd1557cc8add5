/** The node's processes: their command lines and configuration files, as pure functions of the node's configuration. */
import { join } from 'node:path';
import {
  API_PORT,
  CLUSTER_CIDR,
  CLUSTER_DOMAIN,
  DNS_SERVICE_IP,
  NODE_IP,
  PAUSE_IMAGE,
  POD_CIDR,
  SERVICE_CIDR,
  type NodeConfig,
} from './node-config.ts';
import { kubeconfig, type ClientName } from './pki.ts';

export const COMPONENT_NAMES = ['etcd', 'containerd', 'apiserver', 'controller-manager', 'scheduler', 'kubelet', 'proxy', 'dns'] as const;
export type ComponentName = (typeof COMPONENT_NAMES)[number];

export interface Component {
  readonly name: ComponentName;
  /** File name in the node's bin folder. */
  readonly program: string;
  readonly args: readonly string[];
}

const ETCD_CLIENT = 'http://127.0.0.1:2379';
const ETCD_PEER = 'http://127.0.0.1:2380';

export function components(node: NodeConfig): Record<ComponentName, Component> {
  return {
    etcd: etcd(node),
    containerd: { name: 'containerd', program: 'containerd', args: ['--config', join(node.paths.config, 'containerd.toml')] },
    apiserver: apiserver(node),
    'controller-manager': controllerManager(node),
    scheduler: scheduler(node),
    kubelet: kubelet(node),
    proxy: proxy(node),
    dns: { name: 'dns', program: 'coredns', args: ['-conf', join(node.paths.config, 'Corefile')] },
  };
}

/** Data that dies with the cluster need not survive a power cut: no fsync. */
function etcd({ paths }: NodeConfig): Component {
  const args = flags({
    'data-dir': join(paths.state, 'etcd'),
    'listen-client-urls': ETCD_CLIENT,
    'advertise-client-urls': ETCD_CLIENT,
    'listen-peer-urls': ETCD_PEER,
    'initial-advertise-peer-urls': ETCD_PEER,
    'initial-cluster': `default=${ETCD_PEER}`,
    'unsafe-no-fsync': 'true',
    'log-level': 'warn',
  });
  return { name: 'etcd', program: 'etcd', args };
}

function apiserver({ paths, audit }: NodeConfig): Component {
  const pki = (file: string): string => join(paths.pki, file);
  const args = flags({
    'etcd-servers': ETCD_CLIENT,
    'secure-port': String(API_PORT),
    'advertise-address': NODE_IP,
    'service-cluster-ip-range': SERVICE_CIDR,
    'tls-cert-file': pki('apiserver.crt'),
    'tls-private-key-file': pki('apiserver.key'),
    'client-ca-file': pki('ca.crt'),
    'service-account-key-file': pki('service-accounts.pub'),
    'service-account-signing-key-file': pki('service-accounts.key'),
    'service-account-issuer': `https://kubernetes.default.svc.${CLUSTER_DOMAIN}`,
    'authorization-mode': 'Node,RBAC',
    'enable-admission-plugins': 'NodeRestriction',
    'kubelet-client-certificate': pki('apiserver-kubelet.crt'),
    'kubelet-client-key': pki('apiserver-kubelet.key'),
    'kubelet-certificate-authority': pki('ca.crt'),
    // By its name the node would be looked up in DNS for logs and exec.
    'kubelet-preferred-address-types': 'InternalIP',
    'requestheader-client-ca-file': pki('front-proxy-ca.crt'),
    'requestheader-allowed-names': 'front-proxy-client',
    'requestheader-username-headers': 'X-Remote-User',
    'requestheader-group-headers': 'X-Remote-Group',
    'requestheader-extra-headers-prefix': 'X-Remote-Extra-',
    'proxy-client-cert-file': pki('front-proxy-client.crt'),
    'proxy-client-key-file': pki('front-proxy-client.key'),
    'allow-privileged': 'true',
    profiling: 'false',
    ...(audit ? auditFlags(paths) : {}),
  });
  return { name: 'apiserver', program: 'kube-apiserver', args };
}

/** At most two files of 100 MB. */
function auditFlags(paths: NodeConfig['paths']): Record<string, string> {
  return {
    'audit-policy-file': join(paths.config, 'audit.json'),
    'audit-log-path': join(paths.logs, 'audit.log'),
    'audit-log-maxsize': '100',
    'audit-log-maxbackup': '1',
  };
}

function controllerManager({ paths }: NodeConfig): Component {
  const config = join(paths.config, 'controller-manager.kubeconfig');
  const args = flags({
    kubeconfig: config,
    'authentication-kubeconfig': config,
    'authorization-kubeconfig': config,
    'bind-address': '127.0.0.1',
    'service-account-private-key-file': join(paths.pki, 'service-accounts.key'),
    'use-service-account-credentials': 'true',
    'root-ca-file': join(paths.pki, 'ca.crt'),
    'cluster-signing-cert-file': join(paths.pki, 'ca.crt'),
    'cluster-signing-key-file': join(paths.pki, 'ca.key'),
    'flex-volume-plugin-dir': join(paths.state, 'volume-plugins'),
    'leader-elect': 'false',
    profiling: 'false',
    // The default of 20 requests a second holds up its start by seconds: one token per controller.
    'kube-api-qps': '200',
    'kube-api-burst': '400',
  });
  return { name: 'controller-manager', program: 'kube-controller-manager', args };
}

function scheduler({ paths }: NodeConfig): Component {
  const config = join(paths.config, 'scheduler.kubeconfig');
  const args = flags({
    kubeconfig: config,
    'authentication-kubeconfig': config,
    'authorization-kubeconfig': config,
    'bind-address': '127.0.0.1',
    'leader-elect': 'false',
    profiling: 'false',
    'kube-api-qps': '200',
    'kube-api-burst': '400',
  });
  return { name: 'scheduler', program: 'kube-scheduler', args };
}

function kubelet({ paths, nodeName }: NodeConfig): Component {
  const args = flags({
    config: join(paths.config, 'kubelet.json'),
    kubeconfig: join(paths.config, 'kubelet.kubeconfig'),
    'hostname-override': nodeName,
    'node-ip': NODE_IP,
    'root-dir': join(paths.state, 'kubelet'),
  });
  return { name: 'kubelet', program: 'kubelet', args };
}

/** conntrack settings apply to the whole machine and are read-only here: 0 leaves them unchanged. */
function proxy({ paths, nodeName }: NodeConfig): Component {
  const args = flags({
    kubeconfig: join(paths.config, 'proxy.kubeconfig'),
    'hostname-override': nodeName,
    'proxy-mode': 'iptables',
    'cluster-cidr': CLUSTER_CIDR,
    'conntrack-max-per-core': '0',
    'conntrack-tcp-timeout-established': '0',
    'conntrack-tcp-timeout-close-wait': '0',
    'iptables-min-sync-period': '200ms',
    'oom-score-adj': '0',
    'metrics-bind-address': '127.0.0.1:10249',
    'healthz-bind-address': '127.0.0.1:10256',
  });
  return { name: 'proxy', program: 'kube-proxy', args };
}

function flags(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`);
}

/** File name in the configuration folder -> contents. */
export function configFiles(node: NodeConfig): Record<string, string> {
  const local = `https://127.0.0.1:${API_PORT}`;
  const clients: readonly ClientName[] = ['admin', 'kubelet', 'controller-manager', 'scheduler', 'proxy', 'dns'];
  const kubeconfigs = clients.map((client): [string, string] => [`${client}.kubeconfig`, kubeconfig(local, node.paths.pki, client)]);
  return {
    'node.json': JSON.stringify(node, undefined, 1),
    'containerd.toml': containerdConfig(node),
    'cni/10-bridge.conflist': JSON.stringify(CNI_CONFIG, undefined, 1),
    'kubelet.json': JSON.stringify(kubeletConfig(node), undefined, 1),
    'resolv.conf': `nameserver ${DNS_SERVICE_IP}\n`,
    Corefile: corefile(node),
    'audit.json': JSON.stringify(AUDIT_POLICY, undefined, 1),
    ...Object.fromEntries(kubeconfigs),
  };
}

/** /run is the node's own there, so containerd's and its shims' sockets never meet those of another containerd. */
function containerdConfig({ paths, bin }: NodeConfig): string {
  return `version = 3
root = "${join(paths.state, 'containerd')}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.nri.v1.nri", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = "${paths.containerdSocket}"

[plugins.'io.containerd.cri.v1.runtime']
  # Lowering it needs CAP_SYS_RESOURCE, which many virtual machines and containers lack.
  restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["${bin}"]
  conf_dir = "${join(paths.config, 'cni')}"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "${join(bin, 'runc')}"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "${PAUSE_IMAGE}"
`;
}

const CNI_CONFIG = {
  cniVersion: '1.0.0',
  name: 'bss',
  plugins: [
    {
      type: 'bridge',
      bridge: 'bss-pods',
      isGateway: true,
      hairpinMode: true,
      ipam: { type: 'host-local', dataDir: '/run/cni', ranges: [[{ subnet: POD_CIDR }]], routes: [{ dst: '0.0.0.0/0' }] },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
};

function kubeletConfig({ paths }: NodeConfig): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: paths.cgroup,
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: join(paths.pki, 'ca.crt') } },
    authorization: { mode: 'Webhook' },
    tlsCertFile: join(paths.pki, 'kubelet-server.crt'),
    tlsPrivateKeyFile: join(paths.pki, 'kubelet-server.key'),
    clusterDNS: [DNS_SERVICE_IP],
    clusterDomain: CLUSTER_DOMAIN,
    containerRuntimeEndpoint: `unix://${paths.containerdSocket}`,
    resolvConf: join(paths.config, 'resolv.conf'),
    podLogsDir: join(paths.logs, 'pods'),
    volumePluginDir: join(paths.state, 'volume-plugins'),
    failSwapOn: false,
    maxPods: 110,
    oomScoreAdj: 0,
    serializeImagePulls: false,
    // Images come from the build cache and cannot be pulled again, so none is ever collected.
    imageGCHighThresholdPercent: 100,
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
  };
}

/** CoreDNS is a process of the node, not a pod: it needs no image and is ready before the first pod is. Names outside do not exist. */
function corefile({ paths }: NodeConfig): string {
  return `${CLUSTER_DOMAIN}:53 in-addr.arpa:53 ip6.arpa:53 {
  bind ${NODE_IP}
  errors
  ready 127.0.0.1:8181
  kubernetes ${CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {
    kubeconfig ${join(paths.config, 'dns.kubeconfig')}
    pods insecure
    ttl 5
  }
  cache 5
}
.:53 {
  bind ${NODE_IP}
  errors
  template ANY ANY {
    rcode NXDOMAIN
  }
}
`;
}

const AUDIT_POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'Metadata' }],
};
