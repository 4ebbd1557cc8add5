/** Requests whose method a path does not have: 405 with the methods that it has (RFC 9110, section 15.5.6). */
import type { onRequestHookHandler } from 'fastify';
import type { DeclaredRoute } from './auth/routes.ts';
import { Problem, PROBLEMS } from './problems.ts';

/**
 * Methods of the routes that a path matches, sorted; none for an unknown path. A route without parameters is more specific than one with them:
 * `/customers/summary` is no customer. Pure.
 * @param path without query
 */
export function methodsOf(routes: readonly Pick<DeclaredRoute, 'method' | 'url'>[], path: string): string[] {
  const all = routes.filter(({ url }) => patternOf(url).test(path));
  const fixed = all.filter(({ url }) => !url.includes(':'));
  const matching = fixed.length > 0 ? fixed : all;
  return [...new Set(matching.flatMap(({ method }) => method.split(',')))].toSorted();
}

/** Parameters match one segment, and a trailing slash is ignored, as the router does. */
function patternOf(url: string): RegExp {
  const escaped = url.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll(/:\w+/g, '[^/]+');
  return new RegExp(`^${escaped}/?$`);
}

/** A hook that answers requests without a route. The router answers some methods without a body with 400 before its own 404. */
export function refuseUnknown(routes: readonly DeclaredRoute[]): onRequestHookHandler {
  return (request, reply, done) => {
    if (!request.is404) return done();
    const methods = methodsOf(routes, request.url.split('?')[0] ?? '');
    if (methods.length === 0) return done(new Problem(PROBLEMS.not_found));
    void reply.header('allow', methods.join(', '));
    done(new Problem(PROBLEMS.method_not_allowed, `Use ${methods.join(', ')}.`));
  };
}
