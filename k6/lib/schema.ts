/** Checks JSON against the keywords of JSON Schema that the OpenAPI document uses. Pure. */

/** A schema object; keywords that are not listed in {@link KEYWORDS} are violations themselves. */
export type Schema = Readonly<Record<string, unknown>>;

/** Keywords that say nothing about a value. */
const ANNOTATIONS = ['title', 'description', 'default', 'example', 'examples', 'format', '$schema'];

type Check = (expected: never, value: unknown, at: string, schema: Schema) => string[];

/** What JSON Schema counts as characters. */
const codePoints = (text: string): number => Array.from(text).length;

const KEYWORDS: Record<string, Check> = {
  type: (expected: string | string[], value, at) => {
    const types = typeof expected === 'string' ? [expected] : expected;
    return types.some((type) => hasType(type, value)) ? [] : [`${at} is ${nameOf(value)}, not ${types.join(' or ')}`];
  },
  enum: (expected: unknown[], value, at) =>
    expected.includes(value) ? [] : [`${at} is ${JSON.stringify(value)}, not one of ${JSON.stringify(expected)}`],
  const: (expected: unknown, value, at) =>
    value === expected ? [] : [`${at} is ${JSON.stringify(value)}, not ${JSON.stringify(expected)}`],
  pattern: (expected: string, value, at) =>
    typeof value !== 'string' || new RegExp(expected).test(value) ? [] : [`${at} does not match ${expected}`],
  minLength: (expected: number, value, at) =>
    typeof value !== 'string' || codePoints(value) >= expected ? [] : [`${at} has less than ${expected} characters`],
  maxLength: (expected: number, value, at) =>
    typeof value !== 'string' || codePoints(value) <= expected ? [] : [`${at} has more than ${expected} characters`],
  minimum: (expected: number, value, at) => (typeof value !== 'number' || value >= expected ? [] : [`${at} is less than ${expected}`]),
  maximum: (expected: number, value, at) => (typeof value !== 'number' || value <= expected ? [] : [`${at} is greater than ${expected}`]),
  items: (expected: Schema, value, at) =>
    Array.isArray(value) ? value.flatMap((item, index) => violations(expected, item, `${at}[${index}]`)) : [],
  required: (expected: string[], value, at) =>
    isObject(value) ? expected.filter((name) => !(name in value)).map((name) => `${at}.${name} is missing`) : [],
  properties: (expected: Record<string, Schema>, value, at) =>
    isObject(value)
      ? Object.keys(expected)
          .filter((name) => name in value)
          .flatMap((name) => violations(expected[name] ?? {}, value[name], `${at}.${name}`))
      : [],
  propertyNames: (expected: Schema, value, at) =>
    isObject(value) ? Object.keys(value).flatMap((name) => violations(expected, name, `the name ${at}.${name}`)) : [],
  additionalProperties: (expected: boolean | Schema, value, at, schema) => {
    const known = (schema['properties'] ?? {}) as Record<string, Schema>;
    const others = isObject(value) ? Object.keys(value).filter((name) => !(name in known)) : [];
    if (expected === false) return others.map((name) => `${at}.${name} is not in the schema`);
    return isObject(value) && isObject(expected) ? others.flatMap((name) => violations(expected, value[name], `${at}.${name}`)) : [];
  },
  anyOf: (expected: Schema[], value, at) =>
    expected.some((one) => violations(one, value, at).length === 0) ? [] : [`${at} fits none of ${expected.length} schemas`],
  oneOf: (expected: Schema[], value, at) => {
    const fitting = expected.filter((one) => violations(one, value, at).length === 0).length;
    return fitting === 1 ? [] : [`${at} fits ${fitting} of ${expected.length} schemas, not one`];
  },
  allOf: (expected: Schema[], value, at) => expected.flatMap((one) => violations(one, value, at)),
};

/**
 * What is wrong with a value, a line each; empty when it fits. A keyword that is not known here is a violation: nothing passes unchecked.
 * @param at name of the value in messages
 */
export function violations(schema: Schema, value: unknown, at = 'body'): string[] {
  return Object.keys(schema)
    .filter((keyword) => !ANNOTATIONS.includes(keyword))
    .flatMap((keyword) => {
      const holds = KEYWORDS[keyword];
      return holds ? holds(schema[keyword] as never, value, at, schema) : [`${at}: the keyword ${keyword} of the schema is not supported`];
    });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasType(type: string, value: unknown): boolean {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'object') return isObject(value);
  return type === nameOf(value);
}

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}
