/** Random specs, drawn from the schema of the definition itself: no list of fields that could be forgotten. Pure. */
import type { Schema } from '../../api/json-schema.ts';

/** A number in [0, 1). */
export type Random = () => number;

/** Mulberry32: the same seed gives the same specs. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Texts that some field takes, and texts that look as if one might. */
const TEXTS = [
  'a',
  'demo',
  'demo-1',
  'a.b.c',
  'A',
  'a_b',
  '1',
  '0',
  'true',
  'null',
  '-',
  '.',
  '..',
  '..a',
  'a b',
  ' ',
  "o'neil",
  'a"b',
  'a\\',
  'a\nb',
  'ü',
  '$(HOME)',

  'kafka.example.com',
  'kafka.example.com:9092',
  'kafka:99999',
  '10.0.0.1',
  '10.0.0.1/32',
  '*.example.com',
  'https://x/y',
  'http://collector:4318',
  'http://collector:0',
  'http://[::1]:4318',
  'http://a:99999',

  '1',
  '250m',
  '0',
  '512Mi',
  '10Gi',
  '1e3',
  '64Mi',
  '1.5Gi',
  '9E',
  '30s',
  '5m',
  '0s',
  '7d',
  '15d',
  '500ms',
  '0.1.0',
  '0.2.0-rc.1',
  '9.9.9',

  'team',
  'example.com/team',
  'work_mem',
  '16MB',
  'pg_stat_statements.max',
  'LOG_LEVEL',
  'PORT',
  '/',
  '/api',
  '/mnt/a',
  '/mnt/a/b.c',
  '/mnt/../etc',
  'kubernetes.io/hostname',
  'container.apparmor.security.beta.kubernetes.io/a',
  'x'.repeat(40),
  'x'.repeat(63),
  'x'.repeat(64),
  'x'.repeat(253),
];
const QUANTITIES = [0, 1, 2, 1_048_576, 1_073_741_824, ...TEXTS.filter((text) => /^\d/.test(text)), '100Mi', '2Gi', '4Gi', '16Gi', '200m'];

const pick = <T>(random: Random, from: readonly T[]): T => {
  const one = from[Math.floor(random() * from.length)];
  if (one === undefined) throw new Error('nothing to pick from');
  return one;
};

/** A spec with a few fields: one with many is refused for one of them, and says nothing of the others. */
export function randomSpec(schema: Schema, random: Random): unknown {
  return objectOf(schema, random, 0.06 + 0.1 * random());
}

/** @param density chance of an optional field */
function valueOf(schema: Schema, random: Random, density: number): unknown {
  if (Array.isArray(schema['enum'])) return pick(random, schema['enum']);
  if (schema['x-kubernetes-int-or-string'] === true) return pick(random, QUANTITIES);
  if (schema.type === 'boolean') return random() < 0.5;
  if (schema.type === 'integer') return integerOf(schema, random);
  if (schema.type === 'string') return textOf(schema, random);
  if (schema.type === 'array')
    return Array.from({ length: Math.floor(random() * 4) }, () => valueOf(schema.items ?? {}, random, density * 3));
  return typeof schema.additionalProperties === 'object' ? mapOf(schema, random, density) : objectOf(schema, random, density * 1.6);
}

function objectOf({ properties = {}, required = [] }: Schema, random: Random, density: number): Record<string, unknown> {
  const chosen = Object.entries(properties).filter(([key]) => required.includes(key) || random() < density);
  return Object.fromEntries(chosen.map(([key, child]) => [key, valueOf(child, random, density)]));
}

function mapOf(schema: Schema, random: Random, density: number): Record<string, unknown> {
  const entry = schema.additionalProperties as Schema;
  const keys = keysOf(schema);
  return Object.fromEntries(Array.from({ length: Math.floor(random() * 3) }, () => [pick(random, keys), valueOf(entry, random, density)]));
}

/** Keys of a map: those that a rule lists, where one does. */
function keysOf(schema: Schema): readonly string[] {
  const rules = (schema['x-kubernetes-validations'] ?? []) as { rule: string }[];
  const listed = rules.flatMap(({ rule }) => /^self\.all\(k, k in \['(.+)'\]\)$/.exec(rule)?.[1]?.split("', '") ?? []);
  return listed.length > 0 ? listed : TEXTS;
}

function integerOf(schema: Schema, random: Random): number {
  const [least, most] = [Number(schema['minimum'] ?? 0), Number(schema['maximum'] ?? 1000)];
  return pick(random, [least, most, Number(schema.default ?? least), least + Math.floor(random() * (most - least + 1))]);
}

/** Mostly a text that the field's own pattern takes: what is interesting is what the patterns miss. */
function textOf(schema: Schema, random: Random): string {
  const patterns = patternsOf(schema);
  const matching = TEXTS.filter((text) => patterns.every((pattern) => pattern.test(text)));
  return pick(random, random() < 0.9 && matching.length > 0 ? matching : TEXTS);
}

/** The patterns of a text: of the schema, and of its rules. */
function patternsOf(schema: Schema): RegExp[] {
  const rules = (schema['x-kubernetes-validations'] ?? []) as { rule: string }[];
  const own = typeof schema['pattern'] === 'string' ? [schema['pattern']] : [];
  return [...own, ...rules.flatMap(({ rule }) => /^self\.matches\('([^']+)'\)/.exec(rule)?.[1] ?? [])].map(
    (pattern) => new RegExp(pattern),
  );
}
