/** Requests that have one effect however often they are sent: the header of their key, and whose keys they are. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Client } from '../kernel/auth/client.ts';
import { defineProblems } from '../kernel/problems.ts';

export const PROBLEMS = defineProblems({
  idempotency_key_reused: { status: 422, title: 'Another request has used this idempotency key' },
});

/** Response header of an answer that an earlier request with the same key has had. */
export const REPLAYED_HEADER = 'idempotency-replayed';
/** The client of the gateway, for services behind it: keys are unique for a client. */
export const CLIENT_HEADER = 'x-bss-client';

export const idempotencyKey = z
  .string('is required')
  .regex(/^[!-~]{1,128}$/, 'must be 1 to 128 visible ASCII characters')
  .describe("The client's id of the request. A repeated request with the same key and body has no second effect, and the same answer.");

export const idempotencyHeaders = z.object({ 'idempotency-key': idempotencyKey });

/** Headers of a request that the gateway passes on. */
export const forwardedHeaders = idempotencyHeaders.extend({
  [CLIENT_HEADER]: z
    .string()
    .regex(/^[ -~]{1,200}$/, 'must be at most 200 ASCII characters')
    .optional()
    .describe('Whose key it is; default: the caller'),
});

/** Names of clients that are services of the platform begin so. No client of the gateway has such a name: those begin with their kind of credential. */
export const SERVICE_CLIENT = 'service:';

/** The name of a client as a header can have it. An id that is long, or not ASCII, is named by its hash. */
export function clientName(client: Client | undefined): string {
  const id = client?.id ?? 'anonymous';
  return /^[!-~](|[ -~]{0,198}[!-~])$/.test(id) ? id : `sha256:${createHash('sha256').update(id).digest('hex')}`;
}
