import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { CredentialError, IssuerUnavailableError } from './client.ts';
import { remoteKeys } from './issuer-keys.ts';
import { clientOfToken } from './tokens.ts';

const [first, second] = await Promise.all([
  generateKeyPair('ES256', { extractable: true }),
  generateKeyPair('ES256', { extractable: true }),
]);
const jwk = async (kid: string, { publicKey }: typeof first) => ({ ...(await exportJWK(publicKey)), kid, alg: 'ES256' });
const [firstKey, secondKey] = await Promise.all([jwk('first', first), jwk('second', second)]);

/** What the issuer answers with. */
let published: object | undefined = { keys: [firstKey] };
let fetches = 0;
const server = createServer((_request, response) => {
  fetches += 1;
  response.writeHead(published ? 200 : 500, { 'content-type': 'application/json' }).end(JSON.stringify(published ?? {}));
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const address = server.address();
const url = new URL(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/keys`);
const ISSUER = 'https://login.example.com/';

function sign(kid: string, { privateKey }: typeof first): Promise<string> {
  return new SignJWT({})
    .setProtectedHeader({ alg: 'ES256', kid })
    .setIssuer(ISSUER)
    .setAudience('bss')
    .setSubject('anna')
    .setExpirationTime('1m')
    .sign(privateKey);
}

function open(minRefetchMs: number, failures: unknown[] = []) {
  fetches = 0;
  const keys = remoteKeys(url, minRefetchMs, (error) => failures.push(error));
  return (token: string) => clientOfToken([{ issuer: ISSUER, audiences: ['bss'], clockToleranceSeconds: 0, keys }], token, new Date());
}

await test('keys are fetched once for many tokens', async () => {
  published = { keys: [firstKey] };
  const verify = open(60_000);
  const token = await sign('first', first);
  await Promise.all(Array.from({ length: 20 }, () => verify(token)));
  assert.equal(fetches, 1);
});

await test('an unknown key id causes a fetch, which finds the new key', async () => {
  published = { keys: [firstKey] };
  const verify = open(0);
  await verify(await sign('first', first));
  published = { keys: [firstKey, secondKey] };
  await verify(await sign('second', second));
  assert.equal(fetches, 2);
  published = { keys: [secondKey] };
  await assert.rejects(verify(await sign('third', first)), CredentialError);
  await assert.rejects(verify(await sign('first', first)), CredentialError, 'a withdrawn key is not accepted after the next fetch');
});

await test('unknown key ids cause one fetch in the minimum interval', async () => {
  published = { keys: [firstKey] };
  const verify = open(60_000);
  await verify(await sign('first', first));
  for (let number = 0; number < 20; number++) await assert.rejects(verify(await sign(`unknown-${number}`, second)), CredentialError);
  assert.equal(fetches, 1);
});

await test('while the issuer fails, known keys stay in use, unknown ones are undecided, and it is asked once in the minimum interval', async () => {
  published = { keys: [firstKey] };
  const failures: unknown[] = [];
  const verify = open(300, failures);
  await verify(await sign('first', first));
  published = undefined;
  const begun = performance.now();
  while (failures.length === 0) {
    await sign('second', second)
      .then(verify)
      .catch(() => undefined);
  }
  await assert.rejects(verify(await sign('second', second)), IssuerUnavailableError);
  await verify(await sign('first', first));
  assert.ok(fetches <= 2 + (performance.now() - begun) / 300, `${fetches} fetches`);
  published = { keys: [firstKey, secondKey] };
  for (let found = false; !found;) {
    found = await sign('second', second)
      .then(verify)
      .then(
        () => true,
        (error: unknown) => {
          assert.ok(error instanceof IssuerUnavailableError);
          return false;
        },
      );
  }
});

await test('without any keys a token is undecided, not rejected', async () => {
  published = undefined;
  const verify = open(60_000);
  const token = await sign('first', first);
  for (let number = 0; number < 5; number++) await assert.rejects(verify(token), IssuerUnavailableError);
  assert.equal(fetches, 1);
});

server.close();
server.closeAllConnections();
