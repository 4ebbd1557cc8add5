import assert from 'node:assert/strict';
import { test } from 'node:test';
import { validatePolicy } from '../../autoscale/index.ts';
import { inputOf } from '../../platform/golden.ts';
import { scaleTargets } from './targets.ts';

await test("scales the groups of other programs beside the platform's own, and none while the platform hibernates", () => {
  const consumerGroups = [
    { name: 'billing', topics: ['usage.v1'], deployment: 'billing-worker', autoscaling: { maxDelay: '2m', maxReplicas: 6 } },
    { name: 'mail', topics: ['mail.v1', 'mail.v2'], deployment: 'mailer', autoscaling: { scaleToZero: true } },
  ];
  const [own, readModel, billing, mail, ...rest] = scaleTargets(inputOf({ consumerGroups }));
  assert.deepEqual([own?.group, own?.deployment, rest], ['interest-batch', 'demo-interest', []]);
  assert.deepEqual([readModel?.group, readModel?.deployment, readModel?.policy.mode], ['read-model', 'demo-read-model', 'fixed']);
  assert.deepEqual([billing?.namespace, billing?.deployment, billing?.topics], ['bss', 'billing-worker', ['usage.v1']]);
  assert.deepEqual([billing?.policy.maxDelaySeconds, billing?.policy.maxReplicas, billing?.policy.minReplicas], [120, 6, 1]);
  assert.deepEqual([mail?.policy.minReplicas, mail?.policy.scaleToZero], [0, true]);
  for (const target of scaleTargets(inputOf({ consumerGroups }))) assert.deepEqual(validatePolicy(target.policy), []);
  const alone = scaleTargets(inputOf({ consumerGroups, workloads: { interest: { enabled: false } } }));
  assert.deepEqual(
    alone.map(({ group }) => group),
    ['read-model', 'billing', 'mail'],
  );
  assert.deepEqual(scaleTargets(inputOf({ consumerGroups, hibernate: true })), []);
});
