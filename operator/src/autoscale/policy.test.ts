import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DEFAULT_POLICY, validatePolicy, withDefaults } from './policy.ts';
import type { ScalePolicy } from './policy.ts';

describe('policy', () => {
  it('has defaults that can work', () => {
    assert.deepEqual(validatePolicy(DEFAULT_POLICY), []);
  });

  it('goes down to none when scaleToZero is all that is said', () => {
    assert.equal(withDefaults({ scaleToZero: true }).minReplicas, 0);
    assert.deepEqual(validatePolicy(withDefaults({ scaleToZero: true })), []);
  });

  const wrong: { name: string; policy: Partial<ScalePolicy>; field: string }[] = [
    { name: 'min above max', policy: { minReplicas: 5, maxReplicas: 2 }, field: 'minReplicas' },
    { name: 'none without scaleToZero', policy: { minReplicas: 0 }, field: 'minReplicas' },
    { name: 'scaleToZero with a minimum', policy: { scaleToZero: true, minReplicas: 1 }, field: 'scaleToZero' },
    { name: 'scaleToZero with no window', policy: { scaleToZero: true, scaleDownWindowSeconds: 0 }, field: 'scaleToZero' },
    { name: 'scaleToZero with no idle time', policy: { scaleToZero: true, idleSeconds: 0 }, field: 'scaleToZero' },
    { name: 'a goal shorter than a sample', policy: { maxDelaySeconds: 2 }, field: 'maxDelaySeconds' },
    { name: 'a lag of nothing per replica', policy: { lagPerReplica: 0 }, field: 'lagPerReplica' },
    { name: 'a step of nothing', policy: { stepUpReplicas: 0 }, field: 'stepUpReplicas' },
    { name: 'a factor below one', policy: { stepUpFactor: 0.5 }, field: 'stepUpFactor' },
    { name: 'a safe number out of bounds', policy: { safeReplicas: 20 }, field: 'safeReplicas' },
    { name: 'half a replica', policy: { maxReplicas: 1.5 }, field: 'maxReplicas' },
    { name: 'an endless window', policy: { scaleDownWindowSeconds: Infinity }, field: 'scaleDownWindowSeconds' },
  ];
  for (const { name, policy, field } of wrong) {
    it(`refuses ${name}`, () => {
      const problems = validatePolicy(withDefaults(policy));
      assert.ok(
        problems.some((problem) => problem.field === field),
        JSON.stringify(problems),
      );
    });
  }
});
