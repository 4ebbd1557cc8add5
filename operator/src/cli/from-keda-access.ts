/** How a kafka trigger of KEDA reaches the brokers, as the fields of a ConsumerAutoscaler. Pure. */
import { z } from 'zod';

/** KEDA takes texts; YAML may have numbers and booleans in their place. */
export const Text = z.union([z.string(), z.number(), z.boolean()]).transform(String);

export interface Trigger {
  metadata: Record<string, string>;
  authenticationRef?: { name: string; kind: string } | undefined;
}

/** An object of the file. */
export interface Unit {
  kind: string;
  name: string;
  object: unknown;
}

export const AUTHENTICATION_KINDS = ['TriggerAuthentication', 'ClusterTriggerAuthentication'];

const Authentication = z.object({
  spec: z.looseObject({ secretTargetRef: z.array(z.object({ parameter: z.string(), name: z.string(), key: z.string() })).default([]) }),
});

const Secret = z.object({ data: z.record(z.string(), z.string()).default({}), stringData: z.record(z.string(), z.string()).default({}) });

interface SecretKey {
  name: string;
  key: string;
}

/** What is known of the login: values by parameter, from the trigger or a Secret of the file, and the Secrets that hold the others. */
interface Login {
  values: Record<string, string>;
  secrets: Map<string, SecretKey>;
}

/** `brokers`, `tls` and `sasl`. @param notes gets what somebody has to look at */
export function connectionOf(trigger: Trigger, units: readonly Unit[], notes: string[]): Record<string, unknown> {
  const brokers = (trigger.metadata['bootstrapServers'] ?? '')
    .split(',')
    .map((address) => address.trim())
    .filter((address) => address !== '');
  if (brokers.length === 0) notes.push('brokers: KEDA reads them from the environment of the pods; write them here.');
  const login = loginOf(trigger, units, notes);
  return { brokers, ...tlsOf(login, notes), ...saslOf(login, notes) };
}

function loginOf({ metadata, authenticationRef }: Trigger, units: readonly Unit[], notes: string[]): Login {
  const secrets = new Map(authenticationRef === undefined ? [] : parametersOf(authenticationRef, units, notes));
  const values = { ...metadata };
  for (const [parameter, { name, key }] of secrets) {
    const value = valueOf(units, name, key);
    if (value !== undefined) values[parameter] = value;
  }
  return { values, secrets };
}

function parametersOf({ name, kind }: { name: string; kind: string }, units: readonly Unit[], notes: string[]): [string, SecretKey][] {
  const found = units.find((unit) => unit.kind === kind && unit.name === name);
  const { success, data } = Authentication.safeParse(found?.object);
  if (!success) {
    notes.push(`${kind} ${name} is not in the file: add it, or write tls and sasl here.`);
    return [];
  }
  const { secretTargetRef, ...others } = data.spec;
  if (Object.keys(others).length > 0)
    notes.push(`${kind} ${name}: ${Object.keys(others).join(', ')} has no equivalent; put the values into a Secret.`);
  if (kind === 'ClusterTriggerAuthentication')
    notes.push(`${kind} ${name}: its Secrets are in KEDA's namespace; copy them into that of this resource.`);
  return secretTargetRef.map(({ parameter, ...secret }) => [parameter, secret]);
}

/** Only what is no password: the mechanism, and whether to use TLS. */
function valueOf(units: readonly Unit[], name: string, key: string): string | undefined {
  const { success, data } = Secret.safeParse(units.find((unit) => unit.kind === 'Secret' && unit.name === name)?.object);
  if (!success) return undefined;
  const encoded = data.data[key];
  return data.stringData[key] ?? (encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString());
}

function tlsOf({ values, secrets }: Login, notes: string[]): Record<string, unknown> {
  const inSecret = secrets.get('tls');
  const unknown = inSecret !== undefined && values['tls'] === undefined;
  if (unknown) notes.push(`tls.enabled: KEDA reads it from Secret ${inSecret.name}, key ${inSecret.key}; check it here.`);
  if (values['tls'] !== 'enable' && !unknown) return {};
  if (values['unsafeSsl'] === 'true') notes.push('unsafeSsl: certificates are always verified; set tls.caSecret.');
  if (secrets.has('keyPassword')) notes.push('keyPassword: write the private key without a password.');
  const ca = secrets.get('ca');
  return { tls: { enabled: true, ...(ca === undefined ? {} : { caSecret: ca }), ...clientCertificate(secrets, notes) } };
}

function clientCertificate(secrets: Login['secrets'], notes: string[]): Record<string, unknown> {
  const [certificate, key] = [secrets.get('cert'), secrets.get('key')];
  if (certificate === undefined || key === undefined) return {};
  if (certificate.name !== key.name)
    notes.push(`tls.clientCertificate: put the key of Secret ${key.name} into Secret ${certificate.name}.`);
  return { clientCertificate: { secretName: certificate.name, certificateKey: certificate.key, keyKey: key.key } };
}

const MECHANISMS: Record<string, string> = { plaintext: 'plain', scram_sha256: 'scram-sha-256', scram_sha512: 'scram-sha-512' };

function saslOf({ values, secrets }: Login, notes: string[]): Record<string, unknown> {
  const [given, inSecret] = [values['sasl'] ?? '', secrets.get('sasl')];
  if (given === 'none' || (given === '' && inSecret === undefined)) return {};
  const mechanism = MECHANISMS[given] ?? 'scram-sha-512';
  if (given === '') notes.push(`sasl.mechanism: KEDA reads it from Secret ${inSecret?.name}, key ${inSecret?.key}; check it here.`);
  else if (!(given in MECHANISMS)) notes.push(`sasl: ${given} is not supported: use plain, scram-sha-256 or scram-sha-512.`);
  const [username, password] = [secrets.get('username'), secrets.get('password')];
  if (username === undefined || password === undefined) notes.push('sasl.secretName: write the Secret that holds user name and password.');
  if (username !== undefined && password !== undefined && username.name !== password.name)
    notes.push(`sasl: put the password of Secret ${password.name} into Secret ${username.name}.`);
  const keys = { usernameKey: username?.key ?? 'username', passwordKey: password?.key ?? 'password' };
  return { sasl: { mechanism, secretName: username?.name ?? '', ...keys } };
}
