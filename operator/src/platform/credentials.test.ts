import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { beginRotation, completeCredentials, endRotation, isRotating, slotsOf, withRequest, type Credentials } from './credentials.ts';
import { inputOf, podTemplateOf } from './golden.ts';
import { buildPlatform, secretUses } from './index.ts';

const fresh = () => completeCredentials({}, randomBytes);
const rotating = (values = fresh(), request = 'one') => beginRotation(values, request, randomBytes);
const rotated = (values = fresh(), request = 'one') => endRotation(rotating(values, request), randomBytes);
const without = (values: Credentials, ...keys: string[]) =>
  Object.fromEntries(Object.entries(values).filter(([key]) => !keys.includes(key)));

/** Logins and passwords in the list of PgBouncer's users, without the exporter's. */
function listed({ 'pgbouncer-userlist': list = '' }: Credentials): Record<string, string> {
  const lines = [...list.matchAll(/^"(.*)" "(.*)"$/gm)].map(([, user = '', password = '']) => [user, password] as const);
  return Object.fromEntries(lines.filter(([user]) => user !== 'stats'));
}

/** Keys of the Secret that pods of a platform with these credentials read. */
function usedKeys(values: Credentials): string[] {
  const uses = secretUses({ ...inputOf({}), slots: slotsOf(values) });
  return uses.find(({ name }) => name === 'demo-credentials')?.keys ?? [];
}

/** Keys with the same value as one of their slots. */
const SENT = ['api-key', 'ledger-api-key', 'orchestrator-api-key', 'read-model-api-key', 'accounts-api-key', 'crm-api-key'];
const ROLES = ['ledger', 'relay', 'orchestrator', 'interest', 'readmodel', 'accounts', 'crm'];
const SECOND = ROLES.map((role) => `${role}_b`);

await test('generates every key that pods use, and no value twice', () => {
  const made = fresh();
  assert.deepEqual(
    usedKeys(made).filter((key) => !made[key]),
    [],
  );
  const texts = Object.entries(made).filter(([key]) => !SENT.includes(key));
  assert.equal(new Set(texts.map(([, value]) => value)).size, texts.length);
  assert.match(made['postgres-password'] ?? '', /^[A-Za-z0-9_-]{32}$/);
  const users = ROLES.map((role) => String.raw`"${role}" "[\w-]{32}"\n`).join('');
  assert.match(made['pgbouncer-userlist'] ?? '', new RegExp(`^${users}"stats" ""\n$`));
  assert.equal(made['api-key'], made['api-key-a']);
  assert.deepEqual(slotsOf(made), { active: 'a', live: ['a'], formerAdmin: false });
});

await test('keeps existing values and unknown keys, and adds missing values', () => {
  const existing = { 'ledger-password': 'my "own"', 'api-key': 'a key whose slots were removed', extra: 'x' };
  const completed = completeCredentials(existing, randomBytes);
  assert.equal(completed['ledger-password'], 'my "own"');
  assert.equal(completed['extra'], 'x');
  assert.equal(completed['api-key-a'], existing['api-key']);
  assert.match(completed['pgbouncer-userlist'] ?? '', /"ledger" "my ""own"""/);
  assert.deepEqual(completeCredentials(completed, randomBytes), completed, 'complete ones do not change');
});

interface Step {
  name: string;
  values: Credentials;
  slots: ReturnType<typeof slotsOf>;
  logins: string[];
  reason: string;
}

const steps: Step[] = [
  {
    name: 'begun',
    values: rotating(),
    slots: { active: 'b', live: ['a', 'b'], formerAdmin: true },
    logins: [...ROLES, ...SECOND],
    reason: 'former and new values are valid side by side',
  },
  {
    name: 'ended',
    values: rotated(),
    slots: { active: 'b', live: ['b'], formerAdmin: false },
    logins: SECOND,
    reason: 'the former values are removed',
  },
  {
    name: 'begun once more',
    values: rotating(rotated(), 'two'),
    slots: { active: 'a', live: ['a', 'b'], formerAdmin: true },
    logins: [...ROLES, ...SECOND],
    reason: 'the slots alternate',
  },
  {
    name: 'ended once more',
    values: rotated(rotated(), 'two'),
    slots: { active: 'a', live: ['a'], formerAdmin: false },
    logins: ROLES,
    reason: 'the first slot again',
  },
];

for (const { name, values, slots, logins, reason } of steps) {
  await test(`rotation ${name}`, () => {
    assert.deepEqual(slotsOf(values), slots, reason);
    assert.deepEqual(Object.keys(listed(values)).toSorted(), logins.toSorted(), reason);
    assert.equal(isRotating(values), slots.live.length > 1);
    assert.deepEqual(
      usedKeys(values).filter((key) => !values[key]),
      [],
      'pods find what they read',
    );
    assert.deepEqual(
      completeCredentials(values, randomBytes),
      values,
      'another pass changes nothing: an operator that was killed continues here',
    );
    assert.deepEqual(completeCredentials(values, randomBytes, values), values);
  });
}

await test('a rotation keeps the former values valid, and replaces all of them', () => {
  const before = fresh();
  const during = rotating(before);
  const after = endRotation(during, randomBytes);
  for (const [login, password] of Object.entries(listed(before))) assert.equal(listed(during)[login], password, login);
  assert.equal(during['postgres-password-former'], before['postgres-password']);
  assert.equal(during['api-key'], before['api-key'], 'callers send the token that every gateway accepts');
  assert.notEqual(after['api-key'], before['api-key']);
  const kept = Object.values(before).filter((value) => Object.values(after).includes(value));
  assert.deepEqual(kept, []);
  assert.deepEqual(listed(after), Object.fromEntries(Object.entries(listed(during)).filter(([login]) => login.endsWith('_b'))));
});

/** Keys of Secrets by variable, in the containers of a Deployment of a platform with these credentials. */
function variablesOf(deployment: string, values: Credentials): Record<string, string> {
  const manifests = buildPlatform({ ...inputOf({}), slots: slotsOf(values) }).flatMap((component) => component.manifests);
  const found = manifests.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === deployment);
  const env = (found && podTemplateOf(found)?.spec?.containers.flatMap((container) => container.env ?? [])) ?? [];
  return Object.fromEntries(env.flatMap(({ name, valueFrom }) => (valueFrom?.secretKeyRef ? [[name, valueFrom.secretKeyRef.key]] : [])));
}

for (const [active, values] of Object.entries({ b: rotating(), a: rotating(rotated(), 'two') })) {
  await test(`a rotation to slot ${active}: new pods send the active credentials, and servers accept those of both slots`, () => {
    const [gateway, ledger] = [variablesOf('demo-gateway', values), variablesOf('demo-ledger', values)];
    assert.equal(slotsOf(values).active, active);
    assert.equal(gateway['LEDGER_API_KEY'], `ledger-api-key-${active}`);
    assert.equal(ledger['PGPASSWORD'], active === 'a' ? 'ledger-password' : 'ledger-b-password');
    assert.deepEqual(new Set([ledger['API_KEY'], ledger['API_KEY_OTHER']]), new Set(['ledger-api-key-a', 'ledger-api-key-b']));
    assert.deepEqual(new Set([gateway['API_KEY'], gateway['API_KEY_OTHER']]), new Set(['api-key-a', 'api-key-b']));
  });
}

await test('starts one rotation for each request, and none while another is in progress', () => {
  const done = rotated(fresh(), 'one');
  assert.equal(beginRotation(done, 'one', randomBytes), done);
  const during = rotating(done, 'two');
  assert.equal(beginRotation(during, 'three', randomBytes), during);
  assert.equal(isRotating(beginRotation(endRotation(during, randomBytes), 'three', randomBytes)), true);
  const made = withRequest(fresh(), 'zero');
  assert.equal(beginRotation(made, 'zero', randomBytes), made, 'new credentials need no rotation');
});

const LOGIN_KEYS = ['ledger-password', 'interest-password', 'ledger-b-password', 'interest-b-password'];

for (const [name, values] of Object.entries({ steady: fresh(), begun: rotating(), ended: rotated() })) {
  await test(`restores removed and edited keys: ${name}`, () => {
    const harmed: Record<string, Credentials> = {
      'passwords of logins removed': without(values, ...LOGIN_KEYS),
      'passwords of logins edited': {
        ...values,
        ...Object.fromEntries(LOGIN_KEYS.filter((key) => values[key]).map((key) => [key, 'evil'])),
      },
      'list of users removed': without(values, 'pgbouncer-userlist'),
      'token for callers edited': { ...values, 'api-key': 'evil' },
      'other derived ones removed': without(values, 'redis-auth', 'api-key'),
    };
    for (const [harm, edited] of Object.entries(harmed)) assert.deepEqual(completeCredentials(edited, randomBytes), values, harm);
    assert.deepEqual(completeCredentials({}, randomBytes, values), values, 'everything, from memory');
    const slotless = completeCredentials(without(values, 'active-slot'), randomBytes);
    assert.deepEqual(listed(slotless), listed(values), 'either slot is valid');
  });
}

await test('applies an edited administrator password with the former one', () => {
  const values = fresh();
  const edited = completeCredentials({ ...values, 'postgres-password': 'mine' }, randomBytes, values);
  assert.equal(edited['postgres-password'], 'mine');
  assert.equal(edited['postgres-password-former'], values['postgres-password']);
  assert.equal(isRotating(edited), true);
  assert.equal(endRotation(edited, randomBytes)['postgres-password-former'], undefined);
  const twice = completeCredentials({ ...edited, 'postgres-password': 'another' }, randomBytes, edited);
  assert.equal(twice['postgres-password'], 'mine', 'one at a time: it is not known yet which password the database has');
});
