import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authSchema, issuerPorts, publicAuthentication } from './authentication.ts';

const issuer = (name: string, keys: object) => ({ issuer: name, audiences: ['bss'], ...keys });
const authOf = (raw: unknown) => authSchema.parse(raw);
const byName = (auth: ReturnType<typeof authOf>) =>
  Object.fromEntries(publicAuthentication(auth).env.map(({ name, value }) => [name, value]));

await test('without settings, only the generated key is accepted', () => {
  assert.deepEqual(publicAuthentication(authOf({})), { env: [], volumes: [], mounts: {}, secrets: [] });
  assert.deepEqual(issuerPorts(authOf({})), []);
});

await test('key sets of several Secrets are files of their own, and every mount has its volume and its Secret', () => {
  const keys = (name: string) => ({ jwksSecret: { name } });
  const auth = authOf({ apiKeys: { name: 'clients' }, issuers: [issuer('one', keys('first')), issuer('two', keys('second'))] });
  const { volumes = [], mounts = {}, secrets } = publicAuthentication(auth);
  assert.deepEqual(Object.values(mounts), ['api-keys', 'jwks-0', 'jwks-1']);
  assert.deepEqual(
    volumes.map(({ name }) => name),
    Object.values(mounts),
  );
  assert.deepEqual(
    secrets.map(({ name, keys: used }) => [name, used]),
    [
      ['clients', ['api-keys.json']],
      ['first', ['jwks.json']],
      ['second', ['jwks.json']],
    ],
  );
  const paths = (JSON.parse(byName(auth)['JWT_ISSUERS'] ?? '[]') as { jwksFile: string }[]).map(({ jwksFile }) => jwksFile);
  for (const path of paths)
    assert.ok(
      Object.keys(mounts).some((directory) => path === `${directory}/jwks.json`),
      path,
    );
  assert.equal(new Set(paths).size, 2);
});

await test('the kubelet does not expand a variable in the name of an issuer', () => {
  const auth = authOf({ issuers: [issuer('https://x/$(API_KEY)', { jwksUrl: 'https://x/keys' })] });
  assert.match(byName(auth)['JWT_ISSUERS'] ?? '', /https:\/\/x\/\$\$\(API_KEY\)/);
});

await test('the ports of the issuers are open, each once', () => {
  const urls = ['https://a/keys', 'http://b/keys', 'https://c:8443/keys', 'https://d/keys'];
  const auth = authOf({ issuers: urls.map((jwksUrl) => issuer(jwksUrl, { jwksUrl })) });
  assert.deepEqual(issuerPorts(auth), [{ outside: [80, 443, 8443] }]);
});

await test('each issuer has keys from one place', () => {
  for (const keys of [{}, { jwksUrl: 'https://x/keys', jwksSecret: { name: 'x' } }])
    assert.ok(!authSchema.safeParse({ issuers: [issuer('x', keys)] }).success);
});
