/** Schemas that the CRM APIs share. */
import { z } from 'zod';
import { idempotencyHeaders } from '../idempotency.ts';

/** The category Cc of Unicode. The pattern is part of the OpenAPI document, and not every reader of it knows the name of a category. */
// oxlint-disable-next-line no-control-regex
const NO_CONTROL_CHARACTERS = /^[^\u0000-\u001f\u007f-\u009f]*$/;

/** A text of one line. Postgres cannot store NUL, and other control characters have no place in it either. */
export const line = (most: number) =>
  z.string().min(1).max(most).regex(NO_CONTROL_CHARACTERS, 'must not contain control characters').regex(/\S/, 'must not be blank');

export const id = z.uuid();
export const idParams = z.object({ id });
export const moment = z.iso.datetime();
/** Postgres has no year 0. */
export const date = z.iso.date().regex(/^(?!0000)/, 'must be in the year 1 or later');
export const currency = z.string().regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code');

/** Minor units as text, since JSON numbers lose digits above 2^53: `1250` is 12.50 EUR. */
export const minorUnits = z.string().regex(/^(0|[1-9]\d{0,17})$/, 'must be a whole number of minor units of at most 18 digits');
export const taxBasisPoints = z.int().min(0).max(10_000).describe('Tax in hundredths of a percent: 1900 is 19 %');

/** Fields of every resource. */
export const resourceFields = {
  id,
  version: z.int().min(1).describe('Grows with each change; the ETag is this number in quotes'),
  createdAt: moment,
  updatedAt: moment,
};

/** `"7"`, as the answers' ETag; weak tags and lists are not accepted, because a version is exact. */
const ETAG = /^"\d{1,15}"$/;
const etag = z.string().regex(ETAG, 'must be an ETag of an earlier answer, such as "3"');

/** The ETag of a version. */
export const etagOf = (version: number): string => `"${version}"`;
/** The version of an ETag. */
export const versionOf = (tag: string): number => Number(tag.slice(1, -1));

/** A change without If-Match is answered with 428, so the schema does not require it. */
export const ifMatch = z.object({ 'if-match': etag.optional().describe('Required: the ETag of the version that the change is based on') });
export const ifNoneMatch = z.object({
  'if-none-match': z.string().max(1_000).optional().describe('ETag of the version that the client has; 304 when it is the current one'),
});
export const createHeaders = idempotencyHeaders;

/** An answer without a body. */
export const empty = (description: string) => z.null().describe(description);

const cursor = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,1000}$/, 'must be the value of next of an earlier page')
  .optional()
  .describe('The value of `next` of the page before');
const limit = z.coerce.number().int().min(1).max(200).default(50).describe('Resources on a page');

export const pageQuery = z.strictObject({ limit, after: cursor });

/** A comma list of field names, each allow-listed. */
const fieldList = (fields: readonly string[]) => {
  const one = `(?:${fields.join('|')})`;
  return z
    .string()
    .regex(new RegExp(`^${one}(?:,${one})*$`), `must be a comma list of ${fields.join(', ')}`)
    .optional()
    .describe('Fields of the answer; default: all. The id is always included');
};

/** Query of one resource. */
export const selection = (view: z.ZodObject) => z.strictObject({ fields: fieldList(Object.keys(view.shape)) });

/** Query of a list: page, filters of equality by field, sorting and fields, all allow-listed. */
export function listQuery(view: z.ZodObject, filters: Readonly<Record<string, z.ZodType>>, sorts: readonly string[]) {
  const orders = sorts.flatMap((field) => [field, `-${field}`]);
  const optional = Object.fromEntries(Object.entries(filters).map(([name, schema]) => [name, schema.optional()]));
  return z.strictObject({
    limit,
    after: cursor,
    sort: z.enum(orders).default('createdAt').describe('`-` in front: descending'),
    fields: fieldList(Object.keys(view.shape)),
    ...optional,
  });
}

/** A page. `next` is null on the last one. */
export const pageOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), next: z.string().nullable() });

/** The body of a change: some of the fields, and at least one. */
export const changesOf = <S extends z.ZodRawShape>(shape: S) =>
  z
    .strictObject(shape)
    .partial()
    .refine((change) => Object.keys(change).length > 0, 'must change something')
    .meta({ minProperties: 1 });

/** A view of which a client may have selected fields. */
export const partial = (view: z.ZodObject) => view.partial().required({ id: true });

/** How many resources a family has, all and by status. */
export const summaryView = z.object({ total: z.int(), byStatus: z.record(z.string(), z.int()) });
export type Summary = z.output<typeof summaryView>;
