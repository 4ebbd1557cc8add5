/** The reflector against a real API server, which is restarted, cut off, overloaded and made to forget. After each fault the store must be equal to it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { startApiServer } from '../../../local/src/services/index.ts';
import type { ApiServer } from '../../../local/src/services/index.ts';
import type { KubeClient } from './client.ts';
import { Metrics } from './metrics.ts';
import type { KubernetesObject } from '../objects/object.ts';
import { Reflector } from './reflector.ts';
import type { ReflectorOptions } from './reflector.ts';
import type { Change } from './store.ts';
import { FaultProxy } from './testing/fault-proxy.ts';
import { clientFor, configMap, createNamespace, quiet, seriesValue, noteRecovery, until } from './testing/harness.ts';

const CONFIG_MAP = { apiVersion: 'v1', kind: 'ConfigMap' };
const BACKOFF = { baseMs: 50, maxMs: 500 };

const restarts = (metrics: Metrics, reason: string) =>
  seriesValue(metrics, `bss_operator_watch_restarts_total{kind="ConfigMap",reason="${reason}"}`);

/** For comparison: name and version of each. */
const versions = (objects: Iterable<KubernetesObject>) =>
  [...objects].map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`).toSorted();

describe('reflector', () => {
  let api: ApiServer;
  /** Past the proxy. */
  let direct: KubeClient;
  let namespaces = 0;

  before(async () => {
    api = await startApiServer({ own: true });
    direct = clientFor(api.kubeconfigPath).client;
  });
  after(() => api.stop());

  /** A reflector of ConfigMaps in a namespace of its own, through a proxy of its own. */
  async function build(t: TestContext, options: Partial<ReflectorOptions<KubernetesObject>> = {}) {
    namespaces += 1;
    const namespace = `reflected-${namespaces}`;
    await createNamespace(direct, namespace);
    const proxy = new FaultProxy(api);
    const { client, metrics } = clientFor(await proxy.start());
    const reflector = new Reflector({ client, kind: CONFIG_MAP, metrics, logger: quiet, namespace, backoff: BACKOFF, ...options });
    const changes: Change<KubernetesObject>[] = [];
    reflector.subscribe((change) => changes.push(change));
    t.after(async () => {
      await reflector.stop();
      await proxy.stop();
    });
    return {
      namespace,
      proxy,
      metrics,
      reflector,
      changes,
      watches: () => proxy.seen.filter(({ query }) => query.get('watch') === 'true'),
    };
  }

  const put = (namespace: string, name: string, labels: Record<string, string> = {}) =>
    direct.create(configMap(namespace, name, {}, labels));
  const remove = (namespace: string, name: string) => direct.delete({ ...CONFIG_MAP, namespace, name });

  /** Waits until the store has exactly what the server has, version by version; resolves to the milliseconds that took. */
  async function equal(reflector: Reflector, namespace: string, limitMs = 20_000): Promise<number> {
    const begun = performance.now();
    await until('the store to be equal to the server', limitMs, async () => {
      const { items } = await direct.list(CONFIG_MAP, { namespace });
      return versions(items).join() === versions(reflector.store.values()).join();
    });
    return Math.round(performance.now() - begun);
  }

  test('lists in pages, then watches changes', async (t) => {
    const { namespace, reflector, proxy, changes } = await build(t, { pageSize: 500 });
    const names = Array.from({ length: 1_200 }, (_, index) => `many-${index}`);
    for (let start = 0; start < names.length; start += 50)
      await Promise.all(names.slice(start, start + 50).map((name) => put(namespace, name)));
    const begun = performance.now();
    reflector.start();
    await reflector.waitForSync(10_000);
    t.diagnostic(`1,200 ConfigMaps listed in ${Math.round(performance.now() - begun)} ms`);
    assert.equal(reflector.store.size, 1_200);
    const lists = proxy.seen.filter(({ path, query }) => path.endsWith('/configmaps') && !query.has('watch'));
    assert.deepEqual(
      lists.map(({ query }) => [query.get('limit'), query.has('continue')]),
      [
        ['500', false],
        ['500', true],
        ['500', true],
      ],
    );
    assert.deepEqual(
      [...reflector.store.values()].every(({ apiVersion, kind }) => apiVersion === 'v1' && kind === 'ConfigMap'),
      true,
    );

    changes.length = 0;
    await put(namespace, 'new');
    await direct.patch({ ...CONFIG_MAP, namespace, name: 'new' }, { data: { a: '1' } });
    await remove(namespace, 'new');
    await until('three changes', 30_000, () => changes.length === 3);
    assert.deepEqual(
      changes.map(({ type, key }) => [type, key]),
      ['added', 'modified', 'deleted'].map((type) => [type, `${namespace}/new`]),
    );
    await equal(reflector, namespace);
  });

  test('receives only metadata with metadataOnly', async (t) => {
    const { namespace, reflector } = await build(t, { metadataOnly: true });
    await put(namespace, 'listed');
    reflector.start();
    await reflector.waitForSync(30_000);
    await put(namespace, 'watched');
    await equal(reflector, namespace);
    const held = new Map([...reflector.store.values()].map((object) => [object.metadata.name, 'data' in object]));
    assert.deepEqual([held.size, held.get('listed'), held.get('watched')], [2, false, false]);
  });

  test('removes an object that no longer matches the selector', async (t) => {
    const { namespace, reflector } = await build(t, { labelSelector: 'app=a' });
    await put(namespace, 'mine', { app: 'a' });
    await put(namespace, 'other', { app: 'b' });
    reflector.start();
    await reflector.waitForSync(30_000);
    assert.deepEqual([...reflector.store.keys()], [`${namespace}/mine`]);
    await direct.patch({ ...CONFIG_MAP, namespace, name: 'mine' }, { metadata: { labels: { app: 'b' } } });
    await until('it to be gone', 30_000, () => reflector.store.size === 0);
  });

  test('resumes a watch that the server ended', async (t) => {
    const { namespace, reflector, metrics, watches, proxy } = await build(t, { watchSeconds: 1 });
    reflector.start();
    await reflector.waitForSync(30_000);
    await until('three watches', 15_000, () => watches().length >= 3);
    await put(namespace, 'later');
    await equal(reflector, namespace);
    assert.equal(proxy.seen.length - watches().length, 2, 'one discovery and one list');
    assert.ok(((await restarts(metrics, 'ended')) ?? 0) >= 2);
    assert.equal(await restarts(metrics, 'disconnected'), 0);
  });

  test('advances the version by bookmarks', async (t) => {
    const { reflector, watches } = await build(t, { watchSeconds: 3 });
    reflector.start();
    await reflector.waitForSync(30_000);
    // Changes elsewhere; the server sends a bookmark about two seconds before it ends a watch.
    for (let index = 0; index < 5; index += 1) await put('default', `elsewhere-${index}`);
    await until('a second watch', 15_000, () => watches().length >= 2);
    const [first, second] = watches().map(({ query }) => Number(query.get('resourceVersion')));
    assert.ok(watches().every(({ query }) => query.get('allowWatchBookmarks') === 'true'));
    assert.ok(second !== undefined && first !== undefined && second > first, `from ${first} to ${second}`);
  });

  test('recovers from cut connections', async (t) => {
    const { namespace, reflector, proxy, metrics } = await build(t);
    reflector.start();
    await reflector.waitForSync(30_000);
    for (let round = 0; round < 3; round += 1) {
      proxy.cut();
      await put(namespace, `while-cut-${round}`);
      noteRecovery(t, 'watch cut', await equal(reflector, namespace));
    }
    assert.ok(((await restarts(metrics, 'disconnected')) ?? 0) >= 3);
    assert.equal(await seriesValue(metrics, 'bss_operator_lists_total{kind="ConfigMap"}'), 1, 'no list was needed');
  });

  test('recovers from an unreachable server', async (t) => {
    const { namespace, reflector, proxy, watches } = await build(t);
    await put(namespace, 'stays');
    await put(namespace, 'goes');
    reflector.start();
    await reflector.waitForSync(30_000);
    proxy.refuse();
    await remove(namespace, 'goes');
    await put(namespace, 'comes');
    await until('some failures', 30_000, () => reflector.silentMs > 1_500);
    assert.equal(reflector.store.size, 2, 'the store keeps what it had');
    const failed = watches().length;
    proxy.accept();
    noteRecovery(t, 'API server unreachable for 1.5 s', await equal(reflector, namespace), 'counted from its recovery');
    assert.ok(watches().length > failed);
  });

  test('recovers from a dead connection', async (t) => {
    const { namespace, reflector, proxy, metrics } = await build(t, { inactivityMs: 1_000 });
    reflector.start();
    await reflector.waitForSync(30_000);
    await put(namespace, 'seen');
    await equal(reflector, namespace);
    proxy.swallow();
    await put(namespace, 'unseen');
    noteRecovery(t, 'watch connection dead', await equal(reflector, namespace), 'with an inactivity limit of 1 s instead of 90 s');
    assert.equal(await restarts(metrics, 'inactive'), 1);
  });

  test('fails waitForSync when the server hangs', async (t) => {
    const { reflector, proxy } = await build(t);
    proxy.hush();
    reflector.start();
    await assert.rejects(reflector.waitForSync(300), /no list of ConfigMap within 300 ms/);
    assert.equal(reflector.store.synced, false);
  });

  for (const status of [429, 500, 503]) {
    test(`backs off after status ${status}, without a relist`, async (t) => {
      const { namespace, reflector, proxy, metrics, watches } = await build(t);
      reflector.start();
      await reflector.waitForSync(30_000);
      await until('a watch', 30_000, () => watches().length === 1);
      let left = 3;
      const retryAfter: Record<string, string> = status === 429 ? { 'retry-after': '1' } : {};
      proxy.fault = () => (left-- > 0 ? { status, headers: retryAfter } : undefined);
      const begun = performance.now();
      proxy.cut();
      await put(namespace, 'meanwhile');
      await equal(reflector, namespace);
      const tookMs = Math.round(performance.now() - begun);
      noteRecovery(t, `three responses of ${status} in a row`, tookMs, status === 429 ? 'the server asked for 1 s each time' : '');
      if (status === 429) assert.ok(tookMs >= 3_000, `the server asked for a second each time, it got ${tookMs} ms`);
      assert.equal(await restarts(metrics, 'refused'), 3);
      assert.equal(await seriesValue(metrics, 'bss_operator_lists_total{kind="ConfigMap"}'), 1);
    });
  }

  test('backs off from an overloaded server', async (t) => {
    const { reflector, proxy } = await build(t, { backoff: { baseMs: 100, maxMs: 10_000 } });
    proxy.fault = () => ({ status: 503 });
    reflector.start();
    await until('a fifth attempt', 30_000, () => proxy.seen.length >= 5);
    const gaps = proxy.seen.slice(1).map(({ at }, index) => at - (proxy.seen[index]?.at ?? 0));
    for (const [index, gap] of gaps.slice(0, 4).entries()) assert.ok(gap >= 50 * 2 ** index, `wait ${index + 1} was ${gap} ms`);
  });

  test('backs off when a proxy cuts every watch', async (t) => {
    const { reflector, proxy, watches } = await build(t, { backoff: { baseMs: 200, maxMs: 10_000 } });
    proxy.fault = ({ query }) => (query.get('watch') === 'true' ? { status: 200, body: '' } : undefined);
    reflector.start();
    await reflector.waitForSync(30_000);
    await until('a fourth watch', 30_000, () => watches().length >= 4);
    const [first, , , fourth] = watches();
    assert.ok(first && fourth && fourth.at - first.at >= 100 + 200 + 400, 'each wait is longer');
  });

  test('continues after a handler throws', async (t) => {
    const { namespace, reflector, changes } = await build(t);
    reflector.subscribe(() => {
      throw new Error('a handler with a mistake');
    });
    reflector.start();
    await reflector.waitForSync(30_000);
    await put(namespace, 'a');
    await put(namespace, 'b');
    await until('both changes', 30_000, () => changes.length === 2);
  });

  test('recovers from a restart of the API server', async (t) => {
    const { namespace, reflector } = await build(t);
    await put(namespace, 'before');
    reflector.start();
    await reflector.waitForSync(30_000);
    await api.kill();
    await api.start();
    const back = performance.now();
    await put(namespace, 'after');
    await equal(reflector, namespace);
    noteRecovery(t, 'API server killed and restarted', performance.now() - back, 'counted from its recovery');
  });

  test('relists after 410', async (t) => {
    const { namespace, reflector, proxy, metrics, changes } = await build(t);
    for (const name of ['stays', 'changes', 'goes']) await put(namespace, name);
    reflector.start();
    await reflector.waitForSync(30_000);
    // A restarted server knows no version from before its start; while it is away from us, everything happens.
    proxy.refuse();
    await direct.patch({ ...CONFIG_MAP, namespace, name: 'changes' }, { data: { a: '1' } });
    await remove(namespace, 'goes');
    await put(namespace, 'comes');
    changes.length = 0;
    await api.kill();
    await api.start();
    const back = performance.now();
    proxy.accept();
    await equal(reflector, namespace);
    noteRecovery(t, 'version expired on the server (410)', performance.now() - back, 'counted from its recovery');
    assert.equal(await restarts(metrics, 'expired'), 1);
    assert.equal(await seriesValue(metrics, 'bss_operator_lists_total{kind="ConfigMap"}'), 2);
    assert.deepEqual(changes.map(({ type, key }) => `${type} ${key}`).toSorted(), [
      `added ${namespace}/comes`,
      `deleted ${namespace}/goes`,
      `modified ${namespace}/changes`,
    ]);
  });

  test('exports the watch silence while the reflector runs', async (t) => {
    const { reflector, metrics } = await build(t);
    const silence = () => seriesValue(metrics, 'bss_operator_watch_silence_seconds{kind="ConfigMap"}');
    reflector.start();
    await reflector.waitForSync(30_000);
    await until('some silence', 5_000, async () => ((await silence()) ?? 0) > 0.05);
    await reflector.stop();
    assert.equal(await silence(), undefined);
  });
});
