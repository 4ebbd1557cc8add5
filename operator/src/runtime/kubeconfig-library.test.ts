import assert from 'node:assert/strict';
import { registerHooks } from 'node:module';
import { test } from 'node:test';

void test('loads the library without its generated client', async () => {
  const loaded: string[] = [];
  const hooks = registerHooks({
    load(url, context, next) {
      loaded.push(url);
      return next(url, context);
    },
  });
  const { KubeConfig } = await import('./kubeconfig-library.ts');
  const generated = loaded.filter((url) => /client-node\/dist\/gen\/(apis|models|types)\//.test(url));
  hooks.deregister();
  assert.deepEqual(generated, []);
  assert.ok(loaded.some((url) => url.endsWith('/client-node/dist/config.js')));
  // Whoever imports the package itself gets the same class, so that instances of one are instances of the other.
  assert.equal((await import('@kubernetes/client-node')).KubeConfig, KubeConfig);
});
