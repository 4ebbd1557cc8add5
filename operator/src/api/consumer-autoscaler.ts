/** The spec of a ConsumerAutoscaler: a consumer group of any program, and the object whose replicas are its members. */
import { z } from 'zod';
import { POLICY_FIELDS, settleBounds, withPolicyRules } from './autoscaling.ts';
import { objectName } from './common.ts';
import { groupTopics } from './groups.ts';
import type { Problem } from './index.ts';
import { KAFKA_FIELDS } from './kafka-access.ts';
import { isObject, merge } from './profiles.ts';
import { defaultText, rule } from './rules.ts';

const API_VERSION = '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9]+((alpha|beta)[0-9]+)?$';
const KIND_NAME = '^[A-Z][A-Za-z0-9]*$';

const scaleTargetRef = z
  .strictObject({
    apiVersion: rule(z.string().max(253).default('apps/v1').describe('API group and version of the object.'), {
      cel: `self.matches('${API_VERSION}')`,
      message: 'write group and version, such as apps/v1',
      check: (value) => new RegExp(API_VERSION).test(value),
    }),
    kind: rule(z.string().max(63).default('Deployment').describe('Kind of the object, which has a scale subresource.'), {
      cel: `self.matches('${KIND_NAME}')`,
      message: 'write a kind as in a manifest, such as Deployment or StatefulSet',
      check: (value) => new RegExp(KIND_NAME).test(value),
    }),
    name: objectName('Name of the object, in the same namespace.'),
  })
  .describe("The object whose pods are the group's members. The operator sets only its replicas.");

const mode = defaultText(
  z
    .enum(['builtin', 'fixed'])
    .default('builtin')
    .describe('builtin: the operator scales on lag. fixed: it measures the group, and the number of replicas stays as it is.'),
  'builtin',
);

/** Shape of `spec` as a user writes it and the API server stores it. */
export const consumerAutoscalerSpec = withPolicyRules(
  z.strictObject({
    scaleTargetRef,
    group: z.string().min(1).max(249).describe('The consumer group.'),
    topics: groupTopics,
    ...KAFKA_FIELDS,
    ...POLICY_FIELDS,
    mode,
  }),
);

/** The spec after defaults. */
export type ConsumerAutoscalerSpec = z.output<typeof consumerAutoscalerSpec>;

export type ParsedAutoscaler = { ok: true; spec: ConsumerAutoscalerSpec } | { ok: false; problems: Problem[] };

/** Checks a spec as read from the API server or a file, and fills in defaults. Never throws. */
export function parseConsumerAutoscaler(raw: unknown): ParsedAutoscaler {
  const given = merge({}, raw);
  const result = consumerAutoscalerSpec.safeParse(isObject(given) ? settleBounds(given, given) : given);
  if (result.success) return { ok: true, spec: result.data };
  return { ok: false, problems: result.error.issues.map(({ path, message }) => ({ path: pathText(path), message })) };
}

/** A field of the spec by its path, such as `spec.brokers[0]`. */
export function pathText(path: PropertyKey[]): string {
  return path.reduce<string>((text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}.${String(key)}`), 'spec');
}
