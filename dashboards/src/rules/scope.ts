/**
 * The rules of one platform, for a Prometheus that holds the series of several. The Prometheus of a platform holds those of one, so the rules as they
 * are written take every series that has a platform: with several, an alert on a missing target would be satisfied by the target of another platform.
 */
import { ANY_PLATFORM } from '../promql.ts';
import { isAlert, type Alert, type Group, type Recording } from './types.ts';

/** Label `platform` of the operator's own series, which belong to no platform. The ServiceMonitor of its chart sets it. */
export const OPERATOR_PLATFORM = 'bss-operator';

export interface Scope {
  readonly platform: string;
  readonly namespace: string;
  readonly operatorNamespace: string;
}

/** The groups with the series of one platform and of the operator in every expression, and the platform's labels on every alert. */
export function scoped(groups: readonly Group[], scope: Scope): Group[] {
  const records = groups.flatMap(({ rules }) => rules.flatMap((rule) => (isAlert(rule) ? [] : [rule.record])));
  // No recorded name is a part of a longer one, colons included.
  const recorded = new RegExp(String.raw`(?<![\w:])(${records.join('|')})(?![\w:])(?:(\{)(?!${ANY_PLATFORM})|(?!\{))`, 'g');
  const selected = (text: string) =>
    text.replaceAll(recorded, (_, name: string, brace?: string) => `${name}{${ANY_PLATFORM}${brace === undefined ? '}' : ','}`);
  const expression = (text: string) => selected(text).replaceAll(ANY_PLATFORM, matchersOf(scope));
  return groups.map(({ name, rules }) => ({ name, rules: rules.map((rule) => ruleOf(rule, expression(rule.expr), scope)) }));
}

function matchersOf({ platform, namespace, operatorNamespace }: Scope): string {
  const namespaces = [...new Set([namespace, operatorNamespace])].join('|');
  return `namespace=~"${namespaces}",platform=~"${platform}|${OPERATOR_PLATFORM}"`;
}

/** An alert about what is missing, or about the operator, has no labels of the platform: a route of Alertmanager could not find it. */
function ruleOf(rule: Alert | Recording, expr: string, { namespace, platform }: Scope): Alert | Recording {
  return isAlert(rule) ? { ...rule, expr, labels: { ...rule.labels, namespace, platform } } : { ...rule, expr };
}
