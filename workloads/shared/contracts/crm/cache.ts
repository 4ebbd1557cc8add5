/** The cache of the CRM APIs: what it has done, and what it should forget. */
import { z } from 'zod';
import { answers } from '../../kernel/http.ts';
import { PROBLEMS as KERNEL } from '../../kernel/problems.ts';
import { id } from './common.ts';
import { route } from './route.ts';

const count = z.int().min(0);
const ratio = z.number().min(0).max(1).optional().describe('Share of the reads that made no load; absent without reads');

export const cacheStatistics = z.object({
  pod: z.string().describe('Each process counts for itself'),
  trusted: z.boolean().describe('False while entries may be too old: reads then go to the database'),
  redis: z.enum(['absent', 'joined', 'unavailable']),
  entries: count,
  bytes: count,
  hotKeys: count,
  hitRatio: ratio,
  earlyExpiration: z.object({ checks: count, expirations: count }),
  caches: z.array(
    z.object({
      name: z.string(),
      hitRatio: ratio,
      results: z.object({ local: count, redis: count, coalesced: count, miss: count, stale: count, bypass: count }),
    }),
  ),
});

/** Keys have no other characters. */
const text = z.string().regex(/^[ -~]{1,300}$/, 'must have 1 to 300 printable ASCII characters');
const MANY = 100;
/** Each further wildcard multiplies the work for a key. */
const WILDCARDS = 4;
const pattern = text.refine(
  (value) => value.replaceAll(/\\./g, '').split('*').length - 1 <= WILDCARDS,
  `must have at most ${WILDCARDS} stars`,
);

export const cacheInvalidation = z
  .strictObject({
    keys: z.array(text).min(1).max(MANY).optional().describe('Such as `customer:{id}`'),
    patterns: z.array(pattern).min(1).max(MANY).optional().describe('`*` is any text and `?` one character: `orders:*`'),
    prefixes: z.array(text).min(1).max(MANY).optional(),
    entities: z
      .array(z.strictObject({ type: text.describe('Such as `order`'), id }))
      .min(1)
      .max(MANY)
      .optional(),
    customers: z.array(id).min(1).max(MANY).optional().describe('Everything of these customers'),
  })
  .refine((body) => Object.values(body).some((list) => list !== undefined), 'must name something to invalidate')
  .meta({ minProperties: 1 });
export type CacheInvalidation = z.output<typeof cacheInvalidation>;

export const invalidated = z.object({ names: z.array(z.string()), patterns: z.array(z.string()) });

export const cacheRoutes = {
  statistics: route({
    name: 'getCacheStatistics',
    method: 'GET',
    url: '/api/v1/cache/statistics',
    scopes: ['cache:read'],
    summary: 'What the cache of the answering process has done since it started',
    schema: { response: answers(200, cacheStatistics) },
    idempotent: true,
  }),
  invalidate: route({
    name: 'invalidateCache',
    method: 'POST',
    url: '/api/v1/cache/invalidate',
    scopes: ['cache:write'],
    summary: 'Removes entries from the cache of every process',
    schema: { body: cacheInvalidation, response: answers(200, invalidated, KERNEL.database_unavailable) },
    idempotent: true,
  }),
};
