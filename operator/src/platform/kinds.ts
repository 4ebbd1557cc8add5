/** The kinds of objects that a platform consists of: their fields, and what the operator does with them. */
import type {
  V1ConfigMap,
  V1DaemonSet,
  V1Deployment,
  V1Ingress,
  V1Job,
  V1NetworkPolicyPeer,
  V1NetworkPolicyPort,
  V1NetworkPolicySpec,
  V1PersistentVolumeClaim,
  V1PodDisruptionBudget,
  V1Role,
  V1RoleBinding,
  V1Secret,
  V1Service,
  V1ServiceAccount,
  V1StatefulSet,
} from '@kubernetes/client-node';

interface KindFacts {
  apiVersion: string;
  /** Plural name in the API, as RBAC rules have it. */
  resource: string;
  /** The cluster serves the kind only when an add-on is installed. */
  optional?: true;
  /** Pruned before anything is applied: it acts on others, such as a former migration, a policy that would cut off new pods, or alerts on pods that end. */
  prunedFirst?: true;
  /** Deleted first when the platform is deleted: it runs the services or routes requests to them. */
  finalizedFirst?: true;
  /** It holds data, or passwords that the data needs: `deletionPolicy` decides whether it is deleted with the platform. */
  data?: true;
}

/** What follows from it: watches, the operator's ClusterRole, the order in which objects are pruned and finalized. */
export const KINDS = {
  ConfigMap: { apiVersion: 'v1', resource: 'configmaps' },
  PersistentVolumeClaim: { apiVersion: 'v1', resource: 'persistentvolumeclaims', data: true },
  Secret: { apiVersion: 'v1', resource: 'secrets', data: true },
  Service: { apiVersion: 'v1', resource: 'services' },
  ServiceAccount: { apiVersion: 'v1', resource: 'serviceaccounts' },
  Deployment: { apiVersion: 'apps/v1', resource: 'deployments', finalizedFirst: true },
  StatefulSet: { apiVersion: 'apps/v1', resource: 'statefulsets' },
  DaemonSet: { apiVersion: 'apps/v1', resource: 'daemonsets', finalizedFirst: true },
  Job: { apiVersion: 'batch/v1', resource: 'jobs', prunedFirst: true, finalizedFirst: true },
  PodDisruptionBudget: { apiVersion: 'policy/v1', resource: 'poddisruptionbudgets', prunedFirst: true },
  Ingress: { apiVersion: 'networking.k8s.io/v1', resource: 'ingresses', prunedFirst: true, finalizedFirst: true },
  NetworkPolicy: { apiVersion: 'networking.k8s.io/v1', resource: 'networkpolicies', prunedFirst: true },
  Role: { apiVersion: 'rbac.authorization.k8s.io/v1', resource: 'roles' },
  RoleBinding: { apiVersion: 'rbac.authorization.k8s.io/v1', resource: 'rolebindings' },
  ScaledObject: { apiVersion: 'keda.sh/v1alpha1', resource: 'scaledobjects', optional: true, prunedFirst: true, finalizedFirst: true },
  TriggerAuthentication: { apiVersion: 'keda.sh/v1alpha1', resource: 'triggerauthentications', optional: true, prunedFirst: true },
  HTTPRoute: { apiVersion: 'gateway.networking.k8s.io/v1', resource: 'httproutes', optional: true, prunedFirst: true },
  PodMonitor: { apiVersion: 'monitoring.coreos.com/v1', resource: 'podmonitors', optional: true },
  PrometheusRule: { apiVersion: 'monitoring.coreos.com/v1', resource: 'prometheusrules', optional: true, prunedFirst: true },
} as const satisfies Record<string, KindFacts>;

/** Kinds of the objects that builders emit. */
export type DraftKind = keyof typeof KINDS;

const ENTRIES = Object.entries<KindFacts>(KINDS);

/** API version and kind of every entry for which the predicate holds. */
export function kindsWhere(holds: (facts: KindFacts) => boolean): { apiVersion: string; kind: string }[] {
  return ENTRIES.filter(([, facts]) => holds(facts)).map(([kind, { apiVersion }]) => ({ apiVersion, kind }));
}

export const isPrunedFirst = (kind: string): boolean => factsOf(kind)?.prunedFirst === true;
export const isFinalizedFirst = (kind: string): boolean => factsOf(kind)?.finalizedFirst === true;
export const holdsData = (kind: string): boolean => factsOf(kind)?.data === true;

/** Resources of all kinds by API group, each in the order of its name: what the operator's ClusterRole must have. */
export function resourcesByGroup(): [group: string, resources: string[]][] {
  const groups = Map.groupBy(ENTRIES, ([, { apiVersion }]) => (apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : ''));
  return [...groups].map(([group, kinds]) => [group, kinds.map(([, { resource }]) => resource).toSorted((a, b) => (a < b ? -1 : 1))]);
}

function factsOf(kind: string): KindFacts | undefined {
  return ENTRIES.find(([name]) => name === kind)?.[1];
}

/** The client's types rename `from`, which it would serialize back; these objects go to the API server as they are. */
export interface IngressRule {
  from?: V1NetworkPolicyPeer[];
  ports?: V1NetworkPolicyPort[];
}

/** The fields in use of KEDA's ScaledObject: https://keda.sh/docs/2.21/reference/scaledobject-spec/ */
interface ScaledObject {
  spec: {
    scaleTargetRef: { name: string };
    minReplicaCount: number;
    maxReplicaCount: number;
    cooldownPeriod: number;
    fallback?: { failureThreshold: number; replicas: number };
    advanced: { horizontalPodAutoscalerConfig: { behavior: { scaleDown: { stabilizationWindowSeconds: number } } } };
    triggers: { type: string; metadata: Record<string, string>; authenticationRef?: { name: string } }[];
  };
}

interface TriggerAuthentication {
  spec: { secretTargetRef: { parameter: string; name: string; key: string }[] };
}

/** The fields in use of an HTTPRoute: https://gateway-api.sigs.k8s.io/reference/spec/#httproute */
interface HttpRoute {
  spec: {
    parentRefs: { group: string; kind: string; name: string; namespace?: string; sectionName?: string }[];
    hostnames?: string[];
    rules: {
      matches: { path: { type: 'PathPrefix' | 'Exact'; value: string } }[];
      backendRefs: { group: string; kind: string; name: string; port: number; weight: number }[];
    }[];
  };
}

/** A step of relabeling in the fields of prometheus-operator. */
export interface MonitorRelabeling {
  sourceLabels?: string[];
  action?: string;
  regex?: string;
  targetLabel?: string;
  replacement?: string;
}

/** The fields in use of a PodMonitor: https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.PodMonitor */
interface PodMonitor {
  spec: {
    selector: {
      matchLabels: Record<string, string>;
      matchExpressions?: { key: string; operator: 'In' | 'NotIn'; values: string[] }[];
    };
    podMetricsEndpoints: {
      port: string;
      interval: string;
      scrapeTimeout: string;
      honorLabels?: boolean;
      relabelings: MonitorRelabeling[];
    }[];
  };
}

/** The fields in use of a PrometheusRule. */
interface PrometheusRule {
  spec: { groups: { name: string; interval: string; rules: object[] }[] };
}

interface Objects {
  ConfigMap: V1ConfigMap;
  PersistentVolumeClaim: V1PersistentVolumeClaim;
  Secret: V1Secret;
  Service: V1Service;
  ServiceAccount: V1ServiceAccount;
  Deployment: V1Deployment;
  StatefulSet: V1StatefulSet;
  DaemonSet: V1DaemonSet;
  Job: V1Job;
  PodDisruptionBudget: V1PodDisruptionBudget;
  Ingress: V1Ingress;
  NetworkPolicy: { spec: Omit<V1NetworkPolicySpec, 'ingress'> & { ingress?: IngressRule[] } };
  Role: V1Role;
  RoleBinding: V1RoleBinding;
  ScaledObject: ScaledObject;
  TriggerAuthentication: TriggerAuthentication;
  HTTPRoute: HttpRoute;
  PodMonitor: PodMonitor;
  PrometheusRule: PrometheusRule;
}

/** The fields of a kind that a builder writes: without identity, which `component()` adds, and status, which is the API server's. */
export type FieldsOf<K extends DraftKind> = Omit<Objects[K], 'apiVersion' | 'kind' | 'metadata' | 'status'>;
