import assert from 'node:assert/strict';
import { test } from 'node:test';
import { API_VERSION, AUTOSCALER_KIND, KIND } from '../../api/index.ts';
import { claimOf, claimsBefore, claimsOf, type AutoscalerObject, type Claim } from './claims.ts';

const metadata = (name: string, second: number) => ({ name, namespace: 'n', creationTimestamp: `2026-01-01T00:00:0${second}Z` });

const autoscaler = (name: string, second: number, scaleTargetRef: object, more: object = {}): AutoscalerObject => ({
  apiVersion: API_VERSION,
  kind: AUTOSCALER_KIND,
  metadata: metadata(name, second),
  spec: { scaleTargetRef, group: 'g', topics: ['t'], brokers: ['kafka:9092'], ...more },
});

const platform = (name: string, second: number, ...groups: object[]) => ({
  apiVersion: API_VERSION,
  kind: KIND,
  metadata: metadata(name, second),
  spec: { consumerGroups: groups },
});

const claimed = (...resources: AutoscalerObject[]): Claim[] => resources.flatMap(claimOf);

const CASES: Record<string, { others: Claim[]; expected: string[]; reason: string }> = {
  'an older resource': {
    others: claimed(autoscaler('older', 1, { name: 'd' })),
    expected: ['ConsumerAutoscaler/older'],
    reason: 'the first one scales',
  },
  'a younger resource': { others: claimed(autoscaler('younger', 9, { name: 'd' })), expected: [], reason: 'the later one yields' },
  'two of the same second': {
    others: claimed(autoscaler('a', 5, { name: 'd' }), autoscaler('z', 5, { name: 'd' })),
    expected: ['ConsumerAutoscaler/a'],
    reason: 'names decide, so that exactly one of them scales',
  },
  'an object of another kind': {
    others: claimed(autoscaler('older', 1, { kind: 'StatefulSet', name: 'd' })),
    expected: [],
    reason: 'a Deployment and a StatefulSet may have the same name',
  },
  'another version of the same group': {
    others: claimed(autoscaler('older', 1, { apiVersion: 'apps/v2', name: 'd' })),
    expected: ['ConsumerAutoscaler/older'],
    reason: 'it is the same object',
  },
  'an older resource that only measures': {
    others: claimed(autoscaler('older', 1, { name: 'd' }, { mode: 'fixed' })),
    expected: [],
    reason: 'it scales nothing',
  },
  'an older platform that lists the Deployment': {
    others: claimsOf(platform('demo', 1, { name: 'g', topics: ['t'], deployment: 'd' })),
    expected: ['BssPlatform/demo'],
    reason: 'its groups count like resources',
  },
  'a younger platform, and one whose group is fixed': {
    others: [
      ...claimsOf(platform('demo', 9, { name: 'g', topics: ['t'], deployment: 'd' })),
      ...claimsOf(platform('held', 1, { name: 'g', topics: ['t'], deployment: 'd', autoscaling: { mode: 'fixed' } })),
    ],
    expected: [],
    reason: 'the first yields, the second scales nothing',
  },
};

for (const [name, { others, expected, reason }] of Object.entries(CASES))
  await test(`who comes before a resource: ${name}`, () => {
    const [mine] = claimOf(autoscaler('mine', 5, { name: 'd' }));
    assert.ok(mine);
    assert.deepEqual(claimsBefore([mine, ...others], mine), expected, reason);
  });
