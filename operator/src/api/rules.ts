/**
 * Rules that cross fields, written once: each is a CEL expression for the API server and the same check in TypeScript for the
 * operator and the CLI, with one message. Custom keys of `.meta()` travel through `z.toJSONSchema` into the CRD.
 */
import { z } from 'zod';

/** One entry of `x-kubernetes-validations`. */
export interface CelRule {
  rule: string;
  message: string;
  /** Field of the object that the message is about, relative to it, such as `.managed`. */
  fieldPath?: string;
}

interface Rule<T> {
  cel: string;
  message: string;
  fieldPath?: string;
  /** True when the value (after defaults) is right. */
  check: (value: T) => boolean;
}

const CEL_KEY = 'x-kubernetes-validations';

function withCel<S extends z.ZodType>(schema: S, added: CelRule): S {
  const meta = schema.meta() ?? {};
  const before: unknown = meta[CEL_KEY];
  return schema.meta({ ...meta, [CEL_KEY]: [...(Array.isArray(before) ? before : []), added] });
}

/** `schema` with one more rule, checked by the API server (CEL) and by zod, under the same message. */
export function rule<S extends z.ZodType>(schema: S, { cel, message, fieldPath, check }: Rule<z.output<S>>): S {
  const path = fieldPath?.split('.').filter(Boolean);
  const refined = schema.refine(check, { message, ...(path ? { path } : {}) });
  return withCel(refined, { rule: cel, message, ...(fieldPath ? { fieldPath } : {}) });
}

/** A rule about a change (CEL sees `oldSelf`): only the API server knows the old object, so there is no check in TypeScript. */
export function transition<S extends z.ZodType>(schema: S, cel: string, message: string, fieldPath?: string): S {
  return withCel(schema, { rule: cel, message, ...(fieldPath ? { fieldPath } : {}) });
}

/**
 * States a default that depends on other fields, which a schema cannot express: the CRD has it in the description and not as a default.
 */
export function defaultText<S extends z.ZodType>(schema: S, text: string): S {
  return schema.meta({ ...schema.meta(), 'x-default-text': text });
}

const DURATION = /^([0-9]+)(ms|s|m|h|d)$/;
const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of a duration such as `500ms`, `30s`, `5m`, `1h` or `7d`. Throws a RangeError for anything else. */
export function durationMs(text: string): number {
  const match = DURATION.exec(text);
  const unit = UNIT_MS[match?.[2] ?? ''];
  if (!match || unit === undefined) throw new RangeError(`not a duration: ${text}`);
  return Number(match[1]) * unit;
}

/** A duration as text: one whole number and one unit. */
export function duration(description: string) {
  return rule(z.string().max(12).describe(description), {
    cel: "self.matches('^[0-9]+(ms|s|m|h|d)$')",
    message: 'write a whole number and one unit (ms, s, m, h or d), such as 30s, 5m or 15d',
    check: (value) => DURATION.test(value),
  });
}

const POSITIVE = '^0*[1-9][0-9]*(ms|s|m|h|d)$';

/** A duration that must not be zero: one rule, as the definition has many of them. */
export function positiveDuration(description: string) {
  return rule(z.string().max(12).describe(description), {
    cel: `self.matches('${POSITIVE}')`,
    message: 'write a whole number above 0 and one unit (ms, s, m, h or d), such as 30s, 5m or 15d',
    check: (value) => new RegExp(POSITIVE).test(value),
  });
}

const SUFFIX: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};
/** As the API server reads them: a suffix or an exponent (`1e3`), which must not be taken for the suffix E. */
const QUANTITY = /^\+?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)|[eE]([+-]?[0-9]+))?$/;

export function isQuantity(text: string): boolean {
  return QUANTITY.test(text);
}

/** Value of a Kubernetes quantity in its base unit (bytes, cores). Throws a RangeError for other text. */
export function quantityValue(text: string): number {
  const match = QUANTITY.exec(text);
  if (!match) throw new RangeError(`not a quantity: ${text}`);
  return Number(match[1]) * (SUFFIX[match[2] ?? ''] ?? 1) * 10 ** Number(match[3] ?? 0);
}

const QUANTITY_LENGTH = 20;

/**
 * A string, or a bare integer as in a Pod. The output is a string. Without a maximum length the API server estimates the cost of each rule for a
 * string of 3 MB, and 18 components would exceed the budget of a definition.
 */
function quantityText(description: string) {
  return z
    .union([z.int().min(0), z.string().max(QUANTITY_LENGTH)])
    .transform(String)
    .meta({ description, 'x-kubernetes-int-or-string': true, maxLength: QUANTITY_LENGTH });
}

/** A Kubernetes quantity that is not negative. */
export function quantity(description: string) {
  return rule(quantityText(description), {
    // By the length of the text this is far cheaper for the API server than a regular expression.
    cel: "isQuantity(string(self)) && !string(self).startsWith('-')",
    message: 'write a quantity, such as 250m or 2',
    check: (value) => isQuantity(value),
  });
}

const LEAST_BYTES = 2 ** 20;

/** A quantity of bytes. Less than 1Mi is a missing or wrong unit: `512m` is half a byte, not 512 megabytes. */
export function bytes(description: string) {
  return rule(quantityText(description), {
    cel: "isQuantity(string(self)) && !quantity(string(self)).isLessThan(quantity('1Mi'))",
    message: 'write bytes of at least 1Mi, such as 512Mi',
    check: (value) => isQuantity(value) && quantityValue(value) >= LEAST_BYTES,
  });
}
