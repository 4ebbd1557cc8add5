import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { archive } from './archive.ts';
import { secretNames } from './dump.ts';
import { redactor, withoutValues } from '../runtime/redact.ts';

void test('removes a value of a Secret in every form in which it occurs', () => {
  const password = 'p"a/s s+word';
  const redact = redactor([password, `"ledger" "${'c0ffee'.repeat(3)}"\n"gateway" "md5abcdef"`, 'a', 'line one\nline two\n']);
  const forms = {
    'as it is': password,
    base64: Buffer.from(password).toString('base64'),
    'percent-encoded': encodeURIComponent(password),
    'in JSON': JSON.stringify({ password }),
    'a line of a file': 'line two',
    "the password of PgBouncer's list": 'c0ffee'.repeat(3),
  };
  for (const [form, text] of Object.entries(forms)) {
    const redacted = redact(`before ${text} after`);
    assert.match(redacted, /^before .*<redacted>.* after$/, form);
    for (const part of [password, 'p\\"a', 'c0ffee', 'line two', text]) assert.ok(!redacted.includes(part), `${form}: ${redacted}`);
  }
  assert.equal(redact('a ledger and a gateway'), 'a ledger and a gateway', 'the letter of a slot and names of users stay');
});

void test('removes what looks like a credential although no Secret has it', () => {
  const redact = redactor([]);
  const rows: [string, string][] = [
    ['postgres://ledger:hunter2@db:5432/x', 'postgres://ledger:<redacted>@db:5432/x'],
    ['Authorization: Bearer abc.def-123456', 'Authorization: Bearer <redacted>'],
    ['{"password":"hunter2","a":1}', '{"password":"<redacted>","a":1}'],
    ['PGPASSWORD=hunter2 psql', 'PGPASSWORD=<redacted> psql'],
    ['-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----', '<redacted>'],
    ["VERIFIER 'SCRAM-SHA-256$4096:c2FsdA==$a2V5:a2V5'", "VERIFIER '<redacted>'"],
  ];
  for (const [text, expected] of rows) assert.equal(redact(text), expected);
  const yaml =
    'passwordSecret:\n  name: mine\nautomountServiceAccountToken: false\nsecretName: demo-credentials\nerror: password authentication failed\n';
  assert.equal(redact(yaml), yaml, 'names and fields stay');
});

void test('keeps the keys of a Secret and removes its values and the copy that kubectl keeps', () => {
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'x', annotations: { 'kubectl.kubernetes.io/last-applied-configuration': 'hunter2', kept: 'yes' } },
    data: { password: 'aHVudGVyMg==' },
    stringData: { token: 'hunter2' },
  };
  assert.deepEqual(withoutValues(secret), {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'x', annotations: { kept: 'yes' } },
    data: { password: '<redacted>' },
    stringData: { token: '<redacted>' },
  });
});

void test('finds the Secrets that a spec and its pods name', () => {
  const metadata = { name: 'p' };
  const names = secretNames([
    { apiVersion: 'v1', kind: 'BssPlatform', metadata, spec: { redis: { external: { passwordSecret: { name: 'redis', key: 'k' } } } } },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec: {
        imagePullSecrets: [{ name: 'registry' }],
        containers: [{ env: [{ valueFrom: { secretKeyRef: { name: 'env', key: 'k' } } }], envFrom: [{ secretRef: { name: 'all' } }] }],
        volumes: [
          { secret: { secretName: 'file' } },
          { projected: { sources: [{ secret: { name: 'projected' } }] } },
          { configMap: { name: 'no' } },
        ],
      },
    },
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'own' } },
  ]);
  assert.deepEqual(names, ['all', 'env', 'file', 'own', 'projected', 'redis', 'registry']);
});

void test('writes an archive that tar reads', async () => {
  const files = new Map([
    ['platform.yaml', 'kind: BssPlatform\n'],
    ['logs/pod/container.log', 'é\n'.repeat(50_000)],
  ]);
  const packed = await archive('bss-dump-n-a', files);
  const extract = (path: string): string => execFileSync('tar', ['-xzOf', '-', `bss-dump-n-a/${path}`], { input: packed }).toString();
  for (const [path, content] of files) assert.equal(extract(path), content);
});
