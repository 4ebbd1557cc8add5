/**
 * `KubeConfig` of @kubernetes/client-node without the rest of the package. Its module asks for two names of the generated client and gets all of it,
 * every model and every API: 80 MB that this operator, which has a client of its own, would hold for ever. So that one import is sent to the two
 * files that define the names. An update of the package that needs more fails at the start, for lack of a name, and not later.
 */
import { registerHooks } from 'node:module';

const PARTS = new URL('./kubeconfig-library-parts.ts', import.meta.url).href;
const ASKING = /\/@kubernetes\/client-node\/dist\/config\.js$/;

const hooks = registerHooks({
  resolve(specifier, context, next) {
    const wanted = specifier === './gen/index.js' && ASKING.test(context.parentURL ?? '');
    return wanted ? { url: PARTS, shortCircuit: true } : next(specifier, context);
  },
});

export const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');

hooks.deregister();
