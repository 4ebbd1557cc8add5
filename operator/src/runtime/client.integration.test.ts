/** The client against a real API server, with faults of the network between them. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { startApiServer } from '../../../local/src/services/index.ts';
import type { ApiServer } from '../../../local/src/services/index.ts';
import type { KubeClient } from './client.ts';
import { isAlreadyExists, isConflict, isNotFound, KubeError } from './errors.ts';
import { EventRecorder } from './events.ts';
import { NotLeadingError } from './leader.ts';
import type { Metrics } from './metrics.ts';
import type { KubernetesObject } from '../objects/object.ts';
import { FaultProxy } from './testing/fault-proxy.ts';
import { clientFor, configMap, createNamespace, quiet, seriesValue, until, valueAt } from './testing/harness.ts';

const NAMESPACE = 'client';
const reference = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', namespace: NAMESPACE, name });

/** A fence that has fallen. */
const closed = () => {
  throw new NotLeadingError('not the leader');
};

describe('client', () => {
  let api: ApiServer;
  let client: KubeClient;
  let metrics: Metrics;

  before(async () => {
    api = await startApiServer({ own: true });
    ({ client, metrics } = clientFor(api.kubeconfigPath));
    await createNamespace(client, NAMESPACE);
  });
  after(() => api.stop());

  async function behindProxy(t: TestContext, timeoutMs?: number) {
    const proxy = new FaultProxy(api);
    const through = clientFor(await proxy.start(), timeoutMs);
    t.after(() => proxy.stop());
    return { proxy, ...through };
  }

  test('creates, gets, replaces, patches and deletes', async () => {
    const created = await client.create(configMap(NAMESPACE, 'one', { a: '1' }));
    await assert.rejects(client.create(configMap(NAMESPACE, 'one')), isAlreadyExists);
    assert.deepEqual((await client.get(reference('one')))['data'], { a: '1' });
    const replaced = await client.replace({ ...created, data: { a: '2' } });
    await assert.rejects(client.replace({ ...created, data: { a: '3' } }), (error: unknown) => {
      assert.ok(error instanceof KubeError && isConflict(error) && error.retriable);
      assert.match(error.message, /^cannot replace ConfigMap client\/one: /);
      return true;
    });
    assert.deepEqual((await client.patch(reference('one'), { data: { b: '1' } }))['data'], { a: '2', b: '1' });
    const json = [{ op: 'remove', path: '/data/a' }];
    assert.deepEqual((await client.patch(reference('one'), json, { type: 'json' }))['data'], { b: '1' });
    const preconditions = { resourceVersion: replaced.metadata.resourceVersion ?? '' };
    await assert.rejects(client.delete(reference('one'), { preconditions }), isConflict);
    assert.equal(await client.delete(reference('one'), { dryRun: true }), true);
    assert.ok(await client.get(reference('one')), 'a dry run deletes nothing');
    assert.equal(await client.delete(reference('one')), true);
    assert.equal(await client.delete(reference('one')), false, 'it was gone already');
    assert.equal(await client.find(reference('one')), undefined);
    await assert.rejects(client.get(reference('one')), isNotFound);
  });

  test('sets replicas through the scale subresource', async () => {
    const labels = { app: 'scaled' };
    const template = { metadata: { labels }, spec: { containers: [{ name: 'a', image: 'a' }] } };
    const metadata = { namespace: NAMESPACE, name: 'scaled' };
    const deployment = await client.create({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: { selector: { matchLabels: labels }, template },
    });
    await client.scale({ ...deployment, ...metadata }, 5);
    assert.equal(valueAt(await client.get({ ...deployment, ...metadata }), 'spec', 'replicas'), 5);
  });

  test('rejects an invalid object with the path of each field, as not retriable', async () => {
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace: NAMESPACE, name: 'wrong' },
      spec: { ports: [{ port: 99_999 }] },
    };
    await assert.rejects(client.create(service), (error: unknown) => {
      assert.ok(error instanceof KubeError && error.reason === 'Invalid' && error.status === 422 && !error.retriable);
      assert.ok(error.causes.some(({ field }) => field === 'spec.ports[0].port'));
      return true;
    });
  });

  test('discovers a kind that is installed later', async () => {
    const kind = { apiVersion: 'example.org/v1', kind: 'Late' };
    assert.equal(await client.serves(kind), false);
    const names = { plural: 'lates', singular: 'late', kind: 'Late' };
    const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
    const versions = [{ name: 'v1', served: true, storage: true, schema }];
    const metadata = { name: 'lates.example.org' };
    await client.create({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata,
      spec: { group: 'example.org', scope: 'Cluster', names, versions },
    });
    await until('the kind to be served', 15_000, () => client.serves(kind));
    const created = await client.create<KubernetesObject>({ ...kind, metadata: { name: 'x' }, spec: { a: 1 } });
    assert.equal(created.metadata.namespace, undefined);
  });

  test('times out on a hanging server', async (t) => {
    const { client: slow, proxy, metrics: counted } = await behindProxy(t, 200);
    await slow.serves({ apiVersion: 'v1', kind: 'ConfigMap' });
    proxy.hush();
    const begun = performance.now();
    await assert.rejects(slow.get(reference('x')), (error: unknown) => {
      assert.ok(error instanceof KubeError && error.reason === 'Timeout' && error.status === 0 && error.retriable);
      assert.match(error.message, /^cannot get ConfigMap client\/x: timeout/);
      return true;
    });
    assert.ok(performance.now() - begun < 10_000, 'long before the default limit of a request');
    assert.equal(await seriesValue(counted, 'bss_operator_api_requests_total{verb="get",kind="ConfigMap",code="Timeout"}'), 1);
  });

  test('times out on a stopped server, before a connection exists', async () => {
    const { client: fresh } = clientFor(api.kubeconfigPath, 300);
    api.freeze();
    const begun = performance.now();
    const asked = fresh.get(reference('x'));
    await assert.rejects(asked, { reason: 'Timeout' }).finally(() => api.thaw());
    assert.ok(performance.now() - begun < 10_000, 'long before the default limit of a request');
  });

  test('aborts when the caller aborts', async (t) => {
    const { client: slow, proxy } = await behindProxy(t);
    proxy.hush();
    await assert.rejects(slow.get(reference('x'), { signal: AbortSignal.timeout(50) }), { reason: 'Aborted', retriable: false });
    await assert.rejects(slow.list({ apiVersion: 'v1', kind: 'ConfigMap' }, { signal: AbortSignal.abort() }), { reason: 'Aborted' });
  });

  test('fails on a cut connection, and reconnects', async (t) => {
    const { client: through, proxy } = await behindProxy(t);
    await through.create(configMap(NAMESPACE, 'cut'));
    proxy.refuse();
    await assert.rejects(through.get(reference('cut')), { reason: 'ConnectionFailed', retriable: true });
    proxy.accept();
    assert.ok(await through.get(reference('cut')));
  });

  test('reuses connections', async (t) => {
    const { client: through, proxy } = await behindProxy(t);
    for (let index = 0; index < 10; index += 1) await through.find(reference('x'));
    // The pool opens a second one when a request comes before it has put the first one back.
    assert.ok(proxy.connections <= 2, `${proxy.connections} connections for ten requests`);
  });

  const REFUSALS = [
    { status: 429, headers: { 'retry-after': '7' }, reason: 'TooManyRequests', retryAfterMs: 7_000, retriable: true },
    { status: 503, body: 'upstream is away', reason: 'ServiceUnavailable', retriable: true },
    { status: 502, reason: 'InternalError', retriable: true },
    { status: 403, reason: 'Forbidden', retriable: false },
  ];
  for (const { reason, retriable, retryAfterMs, ...answer } of REFUSALS) {
    test(`maps status ${answer.status} of a proxy`, async (t) => {
      const { client: through, proxy } = await behindProxy(t);
      await through.serves({ apiVersion: 'v1', kind: 'ConfigMap' });
      proxy.fault = () => answer;
      await assert.rejects(through.get(reference('x')), { reason, retriable, retryAfterMs, status: answer.status });
    });
  }

  test('lists everything at once when a continue token expires', async (t) => {
    const { client: through, proxy } = await behindProxy(t);
    await createNamespace(client, 'pages');
    for (let index = 0; index < 5; index += 1) await client.create(configMap('pages', `p${index}`));
    const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'The provided continue parameter is too old' };
    proxy.fault = ({ query }) => (query.has('continue') ? { status: 410, body: JSON.stringify(status) } : undefined);
    const { items } = await through.list({ apiVersion: 'v1', kind: 'ConfigMap' }, { namespace: 'pages', pageSize: 2 });
    assert.deepEqual(items.map(({ metadata }) => metadata.name).toSorted(), ['p0', 'p1', 'p2', 'p3', 'p4']);
  });

  test('resolves raw requests for every status', async () => {
    assert.equal((await client.raw('GET', '/api/v1/namespaces/client')).status, 200);
    const { status, body } = await client.raw('GET', '/api/v1/namespaces/absent');
    assert.deepEqual([status, valueAt(body, 'reason')], [404, 'NotFound']);
  });

  describe('fence', () => {
    test('checks every write, but no reads and dry runs', async (t) => {
      const { client: through, proxy } = await behindProxy(t);
      const fenced = through.fenced(closed);
      await client.create(configMap(NAMESPACE, 'guarded'));
      assert.ok(await fenced.get(reference('guarded')));
      assert.ok(await fenced.delete(reference('guarded'), { dryRun: true }));
      const sent = proxy.seen.length;
      const object = configMap(NAMESPACE, 'guarded');
      const writes: Record<string, () => Promise<unknown>> = {
        create: () => fenced.create(object),
        replace: () => fenced.replace(object),
        patch: () => fenced.patch(reference('guarded'), {}),
        apply: () => fenced.apply(object, { fieldManager: 'x' }),
        delete: () => fenced.delete(reference('guarded')),
        scale: () => fenced.scale(reference('guarded'), 1),
        raw: () =>
          fenced.raw('PATCH', '/api/v1/namespaces/client/configmaps/guarded', { body: {}, contentType: 'application/merge-patch+json' }),
      };
      for (const [name, write] of Object.entries(writes)) await assert.rejects(write, NotLeadingError, name);
      assert.equal(proxy.seen.length, sent, 'nothing was sent');
    });

    test('blocks a write when it trips during the TLS handshake', async (t) => {
      const { client: through, proxy } = await behindProxy(t);
      await through.serves({ apiVersion: 'v1', kind: 'ConfigMap' });
      // The idle connection goes, so that the write has to wait for a new one.
      proxy.cut();
      let asked = 0;
      const fenced = through.fenced(() => {
        asked += 1;
        return asked === 1 ? 5_000 : closed();
      });
      const sent = proxy.seen.length;
      await assert.rejects(fenced.patch(reference('guarded'), { data: { a: '1' } }), NotLeadingError);
      assert.equal(asked, 2);
      assert.equal(proxy.seen.length, sent, 'nothing was sent');
    });

    test('sends the server-side timeout of a write', async (t) => {
      const { client: through, proxy } = await behindProxy(t);
      await through.fenced(() => 1_234).create(configMap(NAMESPACE, 'limited'));
      assert.equal(proxy.seen.at(-1)?.query.get('timeout'), '1234ms');
    });
  });

  test('reloads the token from disk', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'bss-token-'));
    t.after(() => rm(folder, { recursive: true }));
    const tokenFile = join(folder, 'token');
    const kubeconfig = join(folder, 'kubeconfig');
    await writeFile(tokenFile, 'outdated');
    const original = await readFile(api.kubeconfigPath, 'utf8');
    await writeFile(kubeconfig, original.replace(/token: .*/, `auth-provider: { name: tokenFile, config: { tokenFile: ${tokenFile} } }`));
    const { client: renewing } = clientFor(kubeconfig);
    await assert.rejects(renewing.get(reference('x')), { reason: 'Unauthorized' });
    await writeFile(tokenFile, api.token);
    assert.equal(await clientFor(kubeconfig).client.find(reference('x')), undefined);
  });

  describe('events', () => {
    const EVENTS = { apiVersion: 'events.k8s.io/v1', kind: 'Event' };

    const recorder = (): { events: EventRecorder; counted: Metrics } => {
      const { client: own, metrics: counted } = clientFor(api.kubeconfigPath);
      return {
        events: new EventRecorder({
          client: own,
          component: 'bss-platform.io/operator',
          instance: 'pod-1',
          metrics: counted,
          logger: quiet,
        }),
        counted,
      };
    };

    test('records an event, and counts repetitions in a series', async () => {
      const regarding = await client.create(configMap(NAMESPACE, 'eventful'));
      const { events, counted } = recorder();
      for (let index = 0; index < 5; index += 1)
        events.record(regarding, { type: 'Warning', reason: 'DriftCorrected', message: 'took back data.a' });
      events.record(regarding, { type: 'Normal', reason: 'Ready', message: 'all is well', action: 'Judge' });
      await events.stop();
      const written = (await client.list(EVENTS, { namespace: NAMESPACE, fieldSelector: undefined })).items;
      const [drift] = written.filter((event) => event['reason'] === 'DriftCorrected');
      assert.ok(drift);
      assert.equal(written.length, 2);
      assert.deepEqual(
        [drift['note'], drift['type'], drift['reportingController']],
        ['took back data.a', 'Warning', 'bss-platform.io/operator'],
      );
      assert.equal(valueAt(drift, 'regarding', 'uid'), regarding.metadata.uid);
      assert.equal(valueAt(drift, 'series', 'count'), 5);
      assert.equal(await seriesValue(counted, 'bss_operator_events_total{outcome="written"}'), 2);
      assert.equal(await seriesValue(counted, 'bss_operator_events_total{outcome="repeated"}'), 4);
    });

    test('rate limits one reason of one object, but not others', async () => {
      const [loud, calm] = [await client.create(configMap(NAMESPACE, 'loud')), await client.create(configMap(NAMESPACE, 'calm'))];
      const { events, counted } = recorder();
      for (let index = 0; index < 100; index += 1) events.record(loud, { type: 'Warning', reason: 'Failed', message: `attempt ${index}` });
      events.record(loud, { type: 'Normal', reason: 'Ready', message: 'fine at last' });
      events.record(calm, { type: 'Normal', reason: 'Ready', message: 'fine' });
      await events.stop();
      assert.equal(await seriesValue(counted, 'bss_operator_events_total{outcome="written"}'), 27);
      assert.equal(await seriesValue(counted, 'bss_operator_events_total{outcome="dropped"}'), 75);
    });

    test('drops an event that cannot be written', async () => {
      const { events, counted } = recorder();
      events.record(configMap('no-such-namespace', 'x'), { type: 'Normal', reason: 'Ready', message: 'fine' });
      await events.stop();
      assert.equal(await seriesValue(counted, 'bss_operator_events_total{outcome="dropped"}'), 1);
    });
  });

  test('counts requests by verb, kind and code', async () => {
    assert.ok(((await seriesValue(metrics, 'bss_operator_api_requests_total{verb="create",kind="ConfigMap",code="201"}')) ?? 0) > 0);
    assert.ok(((await seriesValue(metrics, 'bss_operator_api_requests_total{verb="create",kind="ConfigMap",code="409"}')) ?? 0) > 0);
  });
});
