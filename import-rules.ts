/**
 * Which module may import which: the dependency rules of docs/architecture.md, as dependency-cruiser checks them.
 * `npm run import-rules`; a violation names the rule, both files and the reason.
 */
import type { IConfiguration, IForbiddenRuleType } from 'dependency-cruiser';

/** Tests, what only tests use, benchmarks, and the drawing of previews: the rules between layers do not hold for them, but nothing else may import them. */
const TEST = String.raw`(\.test|/golden|/testing|/benchmark[^/]*)\.ts$|/(testing|benchmarks|e2e)/|^test/|^dashboards/src/preview[./]`;

/** Layers of the operator, each with the layers below that it may import. `main.ts` and the other files of operator/src may import all. */
const OPERATOR: Record<string, string[]> = {
  objects: [],
  api: ['objects'],
  runtime: ['objects'],
  autoscale: [],
  platform: ['objects', 'api'],
  reconcile: ['objects', 'api', 'runtime', 'platform', 'autoscale'],
  cli: ['objects', 'api', 'runtime', 'platform', 'autoscale', 'reconcile'],
};

/** Folders of workloads/shared, each with those that it may import. Every other folder of workloads is one service. */
const SHARED: Record<string, string[]> = {
  kernel: [],
  contracts: ['kernel'],
  databases: ['kernel', 'contracts'],
};

/** What the local cluster and the demo take from the operator. */
const OPERATOR_FOR_LOCAL = String.raw`^operator/src/(autoscale/(recording|request-queue|simulator/chart)|platform/(components/index|definition|images|index))\.ts$`;

/** Packages that one place of each area wraps, so that they can be replaced there. */
const WRAPPED: { package: string; within: string }[] = [
  { package: 'prom-client', within: String.raw`^operator/src/runtime/metrics\.ts$|^workloads/shared/kernel/` },
  { package: 'kafkajs', within: '^operator/src/(autoscale|reconcile/topics)/|^workloads/shared/kernel/kafka/' },
  { package: 'pino', within: String.raw`^operator/src/runtime/logger\.ts$|^workloads/shared/kernel/` },
  { package: 'cdk8s', within: '^operator/src/platform/' },
];

type Rule = IForbiddenRuleType;

const alternatives = (names: string[]): string => `(${names.join('|')})`;

function operatorLayer([layer, below]: [string, string[]]): Rule {
  return {
    name: `operator-${layer}`,
    comment: `operator/src/${layer} may import ${below.length === 0 ? 'no other folder of the operator' : below.join(', ')}.`,
    severity: 'error',
    from: { path: `^operator/src/${layer}/`, pathNot: TEST },
    to: { path: '^operator/src/', pathNot: `^operator/src/${alternatives([layer, ...below])}/` },
  };
}

function sharedFolder([folder, below]: [string, string[]]): Rule {
  return {
    name: `workloads-${folder}`,
    comment: `workloads/shared/${folder} knows no service; it may import ${below.length === 0 ? 'nothing else of workloads' : below.join(', ')}.`,
    severity: 'error',
    from: { path: `^workloads/shared/${folder}/`, pathNot: TEST },
    to: { path: '^workloads/', pathNot: `^workloads/shared/${alternatives([folder, ...below])}/` },
  };
}

function wrapped({ package: name, within }: (typeof WRAPPED)[number]): Rule {
  return {
    name: `wrapped-${name}`,
    comment: `Only the modules that wrap ${name} import it.`,
    severity: 'error',
    from: { path: '^(operator|workloads)/', pathNot: `${within}|${TEST}` },
    to: { path: `node_modules/${name}/` },
  };
}

const rules: Rule[] = [
  {
    name: 'no-cycle',
    comment: 'Modules that import one another in a circle cannot be understood, or loaded, one by one.',
    severity: 'error',
    from: {},
    // Types may refer to one another: the type of the spec is composed of the components' schemas, and the components' builders take a spec.
    to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
  },
  {
    name: 'resolvable',
    comment: 'The module does not exist, or its package is not installed.',
    severity: 'error',
    from: {},
    to: { couldNotResolve: true },
  },
  {
    name: 'no-test-code',
    comment: 'What runs in production does not import tests or what only tests use: images leave it out.',
    severity: 'error',
    from: { pathNot: TEST },
    to: { path: TEST, pathNot: 'node_modules' },
  },
  ...Object.entries(OPERATOR).map(operatorLayer),
  {
    name: 'pure',
    comment: 'Schema, objects and builders are pure: no files, no network, no processes, no timers.',
    severity: 'error',
    from: { path: '^operator/src/(objects|api|platform)/', pathNot: TEST },
    to: { dependencyTypes: ['core'], pathNot: '^(node:)?(crypto|util)$' },
  },
  {
    name: 'operator-alone',
    comment: 'The image of the operator holds operator/ and of dashboards/ the rules and the generated dashboards.',
    severity: 'error',
    from: { path: '^operator/', pathNot: TEST },
    to: { path: '^(workloads|local|k6|test|charts)/|^dashboards/(?!src/(rules/index|dashboards).ts$)' },
  },
  {
    name: 'dashboards-alone',
    comment: 'Rules and dashboards are data: they know metrics by name, and no code of the platform.',
    severity: 'error',
    from: { path: '^dashboards/', pathNot: TEST },
    to: { path: '^(operator|workloads|local|k6|test|charts)/' },
  },
  {
    name: 'k6-alone',
    comment: 'k6 runs the load tests: they import its modules and one another, neither packages nor modules of Node.',
    severity: 'error',
    from: { path: '^k6/', pathNot: TEST },
    // The modules of k6 are part of its program; of them there are the types.
    to: { pathNot: '^(node_modules/@types/)?k6/' },
  },
  ...Object.entries(SHARED).map(sharedFolder),
  {
    name: 'services-apart',
    comment: 'Services do not import one another: what two of them need is a contract or belongs to the kernel.',
    severity: 'error',
    from: { path: '^workloads/(?!shared/)([^/]+)/', pathNot: TEST },
    to: { path: '^workloads/', pathNot: '^workloads/($1|shared)/' },
  },
  {
    name: 'workloads-alone',
    comment: 'The image of the workloads holds workloads/ alone.',
    severity: 'error',
    from: { path: '^workloads/', pathNot: TEST },
    to: { path: '^(operator|local|dashboards|k6|test|charts)/' },
  },
  {
    name: 'local-operator',
    comment: 'The local cluster and the demo know the operator only by what OPERATOR_FOR_LOCAL lists.',
    severity: 'error',
    from: { path: '^local/', pathNot: TEST },
    to: { path: '^(operator|workloads|dashboards|k6|test|charts)/', pathNot: OPERATOR_FOR_LOCAL },
  },
  {
    name: 'end-to-end-outside',
    comment:
      'End-to-end tests use the platform as a user does: they import the demo, its target and the contracts of events, nothing of the operator.',
    severity: 'error',
    from: { path: '^test/' },
    to: { path: '^(operator|workloads)/', pathNot: '^workloads/shared/contracts/' },
  },
  ...WRAPPED.map(wrapped),
];

export default {
  forbidden: rules,
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
    },
  },
} satisfies IConfiguration;
