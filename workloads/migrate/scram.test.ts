import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { scramVerifier } from './scram.ts';

// The exchange that RFC 7677, section 3, prints for the password "pencil".
const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
const AUTH_MESSAGE = [
  'n=user,r=rOprNGfwEbeRWgbNEkqO',
  'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
].join(',');
const SERVER_SIGNATURE = '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=';

test('the verifier has the form of Postgres, and the server key of the example in RFC 7677', () => {
  const verifier = scramVerifier('pencil', SALT);
  const [, salt, serverKey = ''] =
    /^SCRAM-SHA-256\$4096:([A-Za-z0-9+/]{22}==)\$[A-Za-z0-9+/]{43}=:([A-Za-z0-9+/]{43}=)$/.exec(verifier) ?? [];
  assert.equal(salt, SALT.toString('base64'));
  const signature = createHmac('sha256', Buffer.from(serverKey, 'base64')).update(AUTH_MESSAGE).digest('base64');
  assert.equal(signature, SERVER_SIGNATURE);
});

test('each verifier has a salt of its own', () => {
  assert.notEqual(scramVerifier('pencil'), scramVerifier('pencil'));
});

test('rejects a password that SASLprep would change, without printing it', () => {
  for (const password of ['', 'paßwort', 'tab\there'])
    assert.throws(() => scramVerifier(password), {
      message: 'the password is empty or has characters other than printable ASCII: set another one',
    });
});
