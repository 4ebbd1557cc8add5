import assert from 'node:assert/strict';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { test } from 'node:test';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import type { CryptoKey, JWTVerifyGetKey } from 'jose';
import { clientOfKey, parseApiKeys, sha256, type ApiKey } from './api-keys.ts';
import { Authentication } from './authentication.ts';
import { CredentialError, missingScopes } from './client.ts';
import { presentedCredential } from './presented.ts';
import { clientOfToken, localKeys, scopesOf, type TokenIssuer } from './tokens.ts';

const KEY = 'a-key-of-thirty-two-characters-00';
const NOW = new Date('2026-06-01T12:00:00Z');

const headers: [string, Record<string, string>, string | undefined | RegExp][] = [
  ['no header', {}, undefined],
  ['a bearer credential', { authorization: `Bearer ${KEY}` }, KEY],
  ['a scheme in lower case', { authorization: `bearer ${KEY}` }, KEY],
  ['a key header', { 'x-api-key': KEY }, KEY],
  ['both headers', { authorization: `Bearer ${KEY}`, 'x-api-key': KEY }, /one credential/],
  ['another scheme', { authorization: 'Basic dXNlcjpwYXNz' }, /Send an API key/],
  ['a scheme alone', { authorization: 'Bearer' }, /Send an API key/],
  ['a scheme and spaces', { authorization: 'Bearer   ' }, /Send an API key/],
  ['an empty header', { authorization: '' }, /Send an API key/],
  ['a credential without a scheme', { authorization: KEY }, /Send an API key/],
  ['two credentials in one header', { authorization: `Bearer ${KEY} ${KEY}` }, /Send an API key/],
  ['two key headers, as Node joins them', { 'x-api-key': `${KEY}, ${KEY}` }, /Send an API key/],
  ['an empty key', { 'x-api-key': '' }, /Send an API key/],
  ['other characters', { authorization: 'Bearer käse' }, /Send an API key/],
  ['padding in the middle', { authorization: 'Bearer a=b' }, /Send an API key/],
  ['a credential without an end', { authorization: `Bearer ${'a'.repeat(9_000)}` }, /Send an API key/],
];
for (const [what, given, expected] of headers) {
  await test(`headers: ${what}`, () => {
    if (!(expected instanceof RegExp)) return assert.equal(presentedCredential(given), expected);
    assert.throws(
      () => presentedCredential(given),
      (error) => error instanceof CredentialError && expected.test(error.message) && !error.message.includes(KEY),
    );
  });
}

const entry = (id: string, key: string, more: Partial<ApiKey> = {}): ApiKey => ({
  id,
  hash: sha256(key),
  scopes: ['ledger:read'],
  ...more,
});
const OTHER = 'b-key-of-thirty-two-characters-00';

await test('keys: the key decides the client, two keys of one client are valid at once, and a revoked one is unknown', () => {
  const keys = [entry('billing', KEY), entry('billing', OTHER), entry('shop', 'c-key-of-thirty-two-characters-00', { scopes: ['*'] })];
  assert.deepEqual(clientOfKey(keys, KEY, NOW), { id: 'key:billing', scopes: ['ledger:read'] });
  assert.deepEqual(clientOfKey(keys, OTHER, NOW), { id: 'key:billing', scopes: ['ledger:read'] });
  assert.equal(clientOfKey(keys.slice(1), KEY, NOW), undefined);
  assert.equal(clientOfKey(keys, KEY.slice(0, -1), NOW), undefined);
  assert.equal(clientOfKey(keys, '', NOW), undefined);
});

await test('keys: an expired key is rejected, and one of the same value that has not expired is accepted', () => {
  const [past, future] = [new Date(NOW.getTime()), new Date(NOW.getTime() + 1)];
  assert.throws(() => clientOfKey([entry('a', KEY, { expiresAt: past })], KEY, NOW), /expired/);
  assert.equal(clientOfKey([entry('a', KEY, { expiresAt: future })], KEY, NOW)?.id, 'key:a');
  assert.equal(clientOfKey([entry('a', KEY, { expiresAt: past }), entry('b', KEY)], KEY, NOW)?.id, 'key:b');
});

await test('keys: every key is compared, and in constant time, whichever one matches', () => {
  const keys = [entry('first', KEY), entry('second', OTHER), entry('third', 'c-key-of-thirty-two-characters-00')];
  for (const credential of [KEY, OTHER, 'unknown', '']) {
    let comparisons = 0;
    clientOfKey(keys, credential, NOW, (a, b) => {
      comparisons += 1;
      assert.equal(a.byteLength, b.byteLength, 'hashes of one length, so the comparison does not depend on the length of the credential');
      return timingSafeEqual(a, b);
    });
    assert.equal(comparisons, keys.length);
  }
  assert.match(clientOfKey.toString(), /equal = timingSafeEqual/);
});

const files: [string, unknown, RegExp | undefined][] = [
  ['a key in text', { keys: [{ id: 'a', key: KEY, scopes: ['ledger:read'] }] }, undefined],
  [
    'a hash with an expiry',
    { keys: [{ id: 'a', sha256: 'ab'.repeat(32), scopes: ['*'], expires: '2027-01-31T00:00:00+01:00' }] },
    undefined,
  ],
  ['no keys', { keys: [] }, undefined],
  ['no list', {}, /\$\.keys must be a list/],
  ['a list alone', [], /\$ must be an object/],
  ['a short key', { keys: [{ id: 'a', key: 'guessable', scopes: ['ledger:read'] }] }, /\$\.keys\.0\.key must have at least 32/],
  ['key and hash', { keys: [{ id: 'a', key: KEY, sha256: 'ab'.repeat(32), scopes: ['*'] }] }, /\$\.keys\.0 must have either/],
  ['neither', { keys: [{ id: 'a', scopes: ['*'] }] }, /\$\.keys\.0 must have either/],
  ['a hash in another form', { keys: [{ id: 'a', sha256: 'AB', scopes: ['*'] }] }, /sha256 must be the SHA-256/],
  ['no scopes', { keys: [{ id: 'a', key: KEY, scopes: [] }] }, /scopes must have at least one/],
  ['a scope that is none', { keys: [{ id: 'a', key: KEY, scopes: ['read everything'] }] }, /scopes\.0 must be a scope/],
  ['an expiry without a zone', { keys: [{ id: 'a', key: KEY, scopes: ['*'], expires: '2027-01-31' }] }, /expires must be a time/],
  ['an unknown field', { keys: [{ id: 'a', key: KEY, scopes: ['*'], expire: 'x' }] }, /\$\.keys\.0 must have the fields/],
];
for (const [what, content, refused] of files) {
  await test(`key file: ${what}`, () => {
    const text = JSON.stringify(content);
    if (!refused) return void parseApiKeys(text);
    assert.throws(
      () => parseApiKeys(text),
      (error) => error instanceof Error && refused.test(error.message) && !/guessable|thirty-two/.test(error.message),
    );
  });
}

await test('key file: an error of JSON does not quote the text', () => {
  assert.throws(() => parseApiKeys(`{"keys":[{"key":"${KEY}"`), { message: '$ must be JSON' });
});

const ISSUER = 'https://login.example.com/';
const AUDIENCE = 'bss';

const pairs = {
  RS256: await generateKeyPair('RS256', { extractable: true }),
  ES256: await generateKeyPair('ES256', { extractable: true }),
  EdDSA: await generateKeyPair('EdDSA', { extractable: true }),
};
const stranger = await generateKeyPair('ES256', { extractable: true });
const jwks = await Promise.all(
  Object.entries(pairs).map(async ([alg, { publicKey }]) => ({ ...(await exportJWK(publicKey)), kid: alg, alg })),
);
const keys: JWTVerifyGetKey = localKeys(JSON.stringify({ keys: jwks }));
const issuer: TokenIssuer = { issuer: ISSUER, audiences: [AUDIENCE, 'other'], clockToleranceSeconds: 5, keys };
const seconds = NOW.getTime() / 1000;

interface Changes {
  alg?: string;
  kid?: string;
  key?: CryptoKey | Uint8Array;
  claims?: Record<string, unknown>;
}

function token({ alg = 'ES256', kid = 'ES256', key = pairs.ES256.privateKey, claims = {} }: Changes = {}): Promise<string> {
  const all = { iss: ISSUER, aud: AUDIENCE, sub: 'anna', exp: seconds + 60, scope: 'ledger:read', ...claims };
  const header = kid === '' ? { alg } : { alg, kid };
  return new SignJWT(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)))
    .setProtectedHeader(header)
    .sign(key);
}

for (const alg of ['RS256', 'ES256', 'EdDSA'] as const) {
  await test(`tokens: ${alg} is accepted`, async () => {
    const client = await clientOfToken([issuer], await token({ alg, kid: alg, key: pairs[alg].privateKey }), NOW);
    assert.deepEqual(client, { id: `jwt:${ISSUER} anna`, scopes: ['ledger:read'] });
  });
}

function base64(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** The attack on verifiers that take the algorithm from the token: the public key as the secret of an HMAC. */
async function hmacWithPublicKey(): Promise<string> {
  const signed = `${base64({ alg: 'HS256', kid: 'RS256' })}.${base64({ iss: ISSUER, aud: AUDIENCE, sub: 'anna', exp: seconds + 60 })}`;
  const signature = createHmac('sha256', await exportSPKI(pairs.RS256.publicKey))
    .update(signed)
    .digest('base64url');
  return `${signed}.${signature}`;
}

const [head = '', , signature = ''] = (await token()).split('.');
const tokens: [string, string, RegExp | undefined][] = [
  ['one of several audiences', await token({ claims: { aud: ['someone', 'other'] } }), undefined],
  ['expired within the tolerance', await token({ claims: { exp: seconds - 4 } }), undefined],
  ['expired', await token({ claims: { exp: seconds - 6 } }), /has expired/],
  ['without an expiry', await token({ claims: { exp: undefined } }), /claim "exp"/],
  ['not valid yet', await token({ claims: { nbf: seconds + 6 } }), /claim "nbf"/],
  ['another audience', await token({ claims: { aud: 'someone' } }), /claim "aud"/],
  ['without an audience', await token({ claims: { aud: undefined } }), /claim "aud"/],
  ['another issuer', await token({ claims: { iss: 'https://evil.example.com/' } }), /issuer is not accepted/],
  ['without an issuer', await token({ claims: { iss: undefined } }), /issuer is not accepted/],
  ['without a subject', await token({ claims: { sub: undefined } }), /claim "sub"/],
  [
    'algorithm none',
    new UnsecuredJWT({ iss: ISSUER, aud: AUDIENCE, sub: 'anna' }).setExpirationTime(seconds + 60).encode(),
    /not a valid JWT|signed with/,
  ],
  [
    'algorithm none in capitals',
    `${base64({ alg: 'None' })}.${base64({ iss: ISSUER, aud: AUDIENCE, sub: 'anna', exp: seconds + 60 })}.`,
    /signed with/,
  ],
  ['HS256 with the public key', await hmacWithPublicKey(), /signed with/],
  ['an unknown key id', await token({ kid: 'unknown' }), /no key for the token's key id/],
  ['the key id of another algorithm', await token({ kid: 'RS256' }), /no key for the token's key id/],
  ['the key of a stranger', await token({ key: stranger.privateKey }), /signature/],
  ['changed claims', `${head}.${base64({ iss: ISSUER, aud: AUDIENCE, sub: 'root', exp: seconds + 60 })}.${signature}`, /signature/],
  ['without its signature', (await token()).replace(/[^.]*$/, ''), /not a valid JWT|signature/],
  ['no JSON inside', 'a.b.c', /not a valid JWT/],
];
for (const [what, given, refused] of tokens) {
  await test(`tokens: ${what}`, async () => {
    const result = clientOfToken([issuer], given, NOW);
    if (!refused) return void (await result);
    await assert.rejects(result, (error) => {
      assert.ok(error instanceof CredentialError);
      assert.match(error.message, refused);
      assert.equal(error.cause, undefined, "the library's error carries the claims");
      return true;
    });
  });
}

await test('tokens: scopes are read from scope and scp, in both forms; what is no scope is left out', () => {
  assert.deepEqual(scopesOf({ scope: 'openid ledger:read ledger:admin' }), ['ledger:read', 'ledger:admin']);
  assert.deepEqual(scopesOf({ scp: ['ledger:read', 7, 'profile'] }), ['ledger:read']);
  assert.deepEqual(scopesOf({ scp: 'ledger:read', scope: 'debug:seed' }), ['debug:seed', 'ledger:read']);
  assert.deepEqual(scopesOf({ scope: '*' }), [], 'a token cannot claim every scope');
  assert.deepEqual(scopesOf({}), []);
});

await test('scopes: all are required; every scope is in *', () => {
  assert.deepEqual(missingScopes(['ledger:read'], ['ledger:read', 'ledger:admin']), ['ledger:admin']);
  assert.deepEqual(missingScopes(['*'], ['ledger:read', 'ledger:admin']), []);
  assert.deepEqual(missingScopes([], ['ledger:read']), ['ledger:read']);
});

await test('an API key in the form of a token is a key; a token is not accepted without an issuer', async () => {
  const dotted = 'aaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbb.cccccccc';
  const authentication = new Authentication({ keys: [entry('dotted', dotted)] });
  assert.equal((await authentication.identify({ 'x-api-key': dotted }))?.id, 'key:dotted');
  await assert.rejects(authentication.identify({ authorization: `Bearer ${await token()}` }), /not accepted/);
});
