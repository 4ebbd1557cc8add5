/** Random values for a JSON schema: mostly valid ones, sometimes what no client should send. */
import type { Random } from '../../ledger/testing/random.ts';

export interface JsonSchema {
  type?: string;
  format?: string;
  pattern?: string;
  enum?: readonly unknown[];
  const?: unknown;
  anyOf?: readonly JsonSchema[];
  allOf?: readonly JsonSchema[];
  properties?: Readonly<Record<string, JsonSchema>>;
  required?: readonly string[];
  items?: JsonSchema;
  minimum?: number;
  maximum?: number;
}

/** Texts that some pattern of the contract accepts, beside hostile ones. */
const TEXTS = [
  '2026-01-01',
  '2026-02-10',
  '2026-03-05',
  '2026-06-30',
  '0001-01-01',
  '9999-12-31',
  'EUR',
  'USD',
  'DE',
  'FR',
  '0',
  '1999',
  '999999999999999999',
  'plan-1',
  'SN-0001',
  '+491701234567',
  'Jane Example',
  '1 Example Street',
  '12345',
  '',
  ' ',
  'x'.repeat(3_000),
  '-1',
  '007',
  '1e3',
  `'; DROP TABLE customer; --`,
  '\u0000',
  'a\u0000b',
  '\ud800',
  'Ω≈ç√',
  '{}',
  '%00',
  '../..',
  'null',
  '"1"',
  '*',
];
const DATES = ['2026-01-31', '2024-02-29', '2026-02-30', '0000-01-01', '0001-01-01', '9999-12-31'];
const TIMES = ['2026-01-31T12:00:00.000Z', '9999-12-31T23:59:59Z', '2026-01-31T12:00:00+02:00'];
const EMAILS = ['jane@example.com', 'j@x', `${'a'.repeat(300)}@example.com`];
const GARBAGE: readonly unknown[] = [null, true, 0, -1, 1.5, 1e300, '', [], {}, [{}], { $gt: '' }, 'x', '\u0000'];

export class Arbitrary {
  readonly #random: Random;
  readonly #ids: ReadonlyMap<string, readonly string[]>;

  /** @param ids of resources by family, which grow while requests make more */
  constructor(random: Random, ids: ReadonlyMap<string, readonly string[]>) {
    this.#random = random;
    this.#ids = ids;
  }

  /** True in one of so many cases. */
  oneIn(cases: number): boolean {
    return this.#random.below(cases) === 0;
  }

  pick<T>(values: readonly T[]): T {
    return this.#random.pick(values);
  }

  /** The id of a resource of the family, mostly. */
  id(family: string): string {
    const of = this.oneIn(20) ? this.pick([...this.#ids.keys(), family]) : family;
    const ids = this.#ids.get(of) ?? [];
    return this.oneIn(15) || ids.length === 0 ? '01900000-0000-7000-8000-000000000000' : this.pick(ids);
  }

  /** @param strange how rarely a value is garbage: one in so many */
  value(schema: JsonSchema, strange = 60, name = ''): unknown {
    if (this.oneIn(strange)) return this.pick(GARBAGE);
    if (schema.anyOf) return this.value(this.pick(schema.anyOf), strange, name);
    if (schema.enum) return this.pick(schema.enum);
    if (schema.const !== undefined) return schema.const;
    if (schema.properties) return this.object(schema, strange);
    if (schema.type === 'array') return Array.from({ length: this.#random.below(4) }, () => this.value(schema.items ?? {}, strange));
    if (schema.type === 'integer' || schema.type === 'number') return this.#number(schema);
    if (schema.type === 'boolean') return this.oneIn(2);
    if (schema.type === 'null') return null;
    return this.text(schema, name);
  }

  /** The required properties, and some of the others. */
  object({ properties = {}, required = [] }: JsonSchema, strange: number): Record<string, unknown> {
    const names = Object.keys(properties).filter((name) => (required.includes(name) ? !this.oneIn(40) : this.oneIn(3)));
    const given = Object.fromEntries(names.map((name) => [name, this.value(properties[name] ?? {}, strange, name)]));
    return this.oneIn(40) ? { ...given, unknown: 'x' } : given;
  }

  text({ format, pattern, allOf = [] }: JsonSchema, name: string): string {
    // `customerId` names a customer.
    if (format === 'uuid') return this.id(name.replace(/Id$/, 's'));
    if (format === 'date') return this.pick(DATES);
    if (format === 'date-time') return this.pick(TIMES);
    if (format === 'email') return this.pick(EMAILS);
    const patterns = [pattern, ...allOf.map((part) => part.pattern)].filter((one) => one !== undefined);
    const matching = TEXTS.filter((text) => patterns.every((one) => new RegExp(one, 'u').test(text)));
    if (matching.length === 0 || this.oneIn(25)) return this.pick(TEXTS);
    return this.pick(matching);
  }

  #number({ minimum = -10, maximum = 1_000 }: JsonSchema): number {
    return this.pick([minimum, Math.min(maximum, minimum + 1 + this.#random.below(200)), maximum]);
  }
}
