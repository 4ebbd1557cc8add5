/** Names and labels of what a platform consists of. */
import type { PlatformInput } from './types.ts';

type Named = Pick<PlatformInput, 'name' | 'namespace'>;

/** `<platform>-<component>`: name of the objects of a component. */
export function nameOf(platform: Named, component: string): string {
  return `${platform.name}-${component}`;
}

/** Name of a component's Service inside the cluster. */
export function addressOf(platform: Named, component: string): string {
  return `${nameOf(platform, component)}.${platform.namespace}.svc`;
}

/** Secret with the generated passwords and tokens. */
export function credentialsName(platform: Named): string {
  return nameOf(platform, 'credentials');
}

/** What selects the pods of a component. Never changes: selectors cannot. */
export function selectorOf(platform: Named, component: string): Record<string, string> {
  return { 'app.kubernetes.io/name': component, 'app.kubernetes.io/instance': platform.name };
}

/** Labels of the pods of a component. The version is not among them: a new one must not restart what it does not change. */
export function podLabelsOf(platform: Named, component: string): Record<string, string> {
  return {
    ...selectorOf(platform, component),
    'app.kubernetes.io/component': component,
    'app.kubernetes.io/part-of': 'bss-platform',
    'app.kubernetes.io/managed-by': 'bss-operator',
  };
}

/** Labels of every object of a component. */
export function labelsOf(platform: Pick<PlatformInput, 'name' | 'namespace' | 'spec'>, component: string): Record<string, string> {
  return { ...podLabelsOf(platform, component), 'app.kubernetes.io/version': platform.spec.version };
}

/** The port of an http or https URL. */
export function urlPort(url: string): number {
  const { port, protocol } = new URL(url);
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}
