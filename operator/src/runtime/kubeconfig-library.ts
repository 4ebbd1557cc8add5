/**
 * Loads `KubeConfig` of @kubernetes/client-node without the rest of the package. Its module imports two names from the index of the generated client,
 * which loads every model and every API: 80 MB that this operator, with a client of its own, does not need. A resolve hook redirects that import to
 * the two files that define the names. If a newer package needs more names, the import fails at start.
 */
import { registerHooks } from 'node:module';

const PARTS = new URL('./kubeconfig-library-parts.ts', import.meta.url).href;
const IMPORTER = /\/@kubernetes\/client-node\/dist\/config\.js$/;

const hooks = registerHooks({
  resolve(specifier, context, next) {
    const wanted = specifier === './gen/index.js' && IMPORTER.test(context.parentURL ?? '');
    return wanted ? { url: PARTS, shortCircuit: true } : next(specifier, context);
  },
});

export const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');

hooks.deregister();
