import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answersOf, objectName, reportOf, unansweredOf, type Answer, type Finding } from './kube-score.ts';

const REASON = 'a reason that somebody can read';
const REPLICAS: Finding = {
  manifest: 'small',
  object: 'Deployment/a',
  container: '',
  check: 'deployment-replicas',
  finding: 'few replicas',
};
const LIMIT: Finding = {
  manifest: 'small',
  object: 'Deployment/a',
  container: 'main',
  check: 'container-resources',
  finding: 'no CPU limit',
};

const CASES: { reason: string; findings: Finding[]; answers: Omit<Answer, 'reason'>[]; lines: string[] }[] = [
  { reason: 'nothing found, nothing answered', findings: [], answers: [], lines: [] },
  {
    reason: 'a finding without an answer names manifest, object, container and check',
    findings: [REPLICAS, LIMIT],
    answers: [],
    lines: ['small: Deployment/a main: no CPU limit (container-resources)', 'small: Deployment/a: few replicas (deployment-replicas)'],
  },
  { reason: 'an answer without objects is for all of them', findings: [REPLICAS], answers: [{ check: REPLICAS.check }], lines: [] },
  {
    reason: 'an answer to another finding of the same check does not count, and is unused',
    findings: [LIMIT],
    answers: [{ check: LIMIT.check, finding: 'no memory limit' }],
    lines: [
      'kube-score.yaml: the answer to container-resources (no memory limit) matches no finding; remove it',
      'small: Deployment/a main: no CPU limit (container-resources)',
    ],
  },
  {
    reason: 'an answer for another object does not count, and is unused',
    findings: [REPLICAS],
    answers: [{ check: REPLICAS.check, objects: ['Deployment/b'] }],
    lines: [
      'kube-score.yaml: the answer to deployment-replicas matches no finding; remove it',
      'small: Deployment/a: few replicas (deployment-replicas)',
    ],
  },
  {
    reason: 'each object and each manifest of an answer must match a finding',
    findings: [REPLICAS],
    answers: [{ check: REPLICAS.check, objects: ['Deployment/a', 'Deployment/b'], manifests: ['small', 'production'] }],
    lines: [
      'kube-score.yaml: the answer to deployment-replicas for Deployment/b matches no finding; remove it',
      'kube-score.yaml: the answer to deployment-replicas in production matches no finding; remove it',
    ],
  },
];

for (const { reason, findings, answers, lines } of CASES) {
  await test(reason, () => {
    const given = answers.map((answer) => ({ ...answer, reason: REASON }));
    assert.deepEqual(unansweredOf(findings, given), lines);
  });
}

await test('refuses an answer without a reason, and an unknown field', () => {
  assert.throws(() => answersOf([{ check: 'deployment-replicas' }]), /reason/);
  assert.throws(() => answersOf([{ check: 'deployment-replicas', reason: REASON, object: 'Deployment/a' }]), /object/);
});

await test('reads the findings of checks that apply, and a check without comments by its name', () => {
  const check = (id: string, grade: number, skipped: boolean, comments: object[] | null) => ({
    check: { id, name: `name of ${id}` },
    grade,
    skipped,
    comments,
  });
  const checks = [
    check('fine', 10, false, null),
    check('skipped', 0, true, [{ path: '', summary: 'does not apply' }]),
    check('almost', 7, false, [{ path: 'main', summary: 'could be better' }]),
    check('bare', 1, false, null),
  ];
  const json = JSON.stringify([{ type_meta: { kind: 'Job' }, object_meta: { name: 'demo-migrate-091e02e4fa' }, checks }]);
  const { objects, findings } = reportOf('small', json);
  assert.deepEqual(objects, ['Job/demo-migrate']);
  assert.deepEqual(
    findings.map((finding) => [finding.object, finding.container, finding.check, finding.finding]),
    [
      ['Job/demo-migrate', 'main', 'almost', 'could be better'],
      ['Job/demo-migrate', '', 'bare', 'name of bare'],
    ],
  );
  assert.equal(objectName('Deployment', 'demo-091e02e4fa'), 'Deployment/demo-091e02e4fa', 'only Jobs have a hash in their name');
});
