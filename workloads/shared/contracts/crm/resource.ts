/** The routes that every family has: list, read, create, change and delete. */
import type { z } from 'zod';
import { answers } from '../../kernel/http.ts';
import { PROBLEMS as KERNEL } from '../../kernel/problems.ts';
import type { ProblemDefinition } from '../../kernel/problems.ts';
import { PROBLEMS as IDEMPOTENCY } from '../idempotency.ts';
import { createHeaders, empty, idParams, ifMatch, ifNoneMatch, listQuery, pageOf, partial, selection } from './common.ts';
import { PROBLEMS } from './problems.ts';
import { route } from './route.ts';

export const FAMILIES = ['customers', 'products', 'services', 'assets', 'subscriptions', 'orders', 'invoices', 'payments'] as const;
export type FamilyName = (typeof FAMILIES)[number];

/** What is particular to a family. */
export interface ResourceContract {
  family: FamilyName;
  /** One of them, as in `customer`. */
  noun: string;
  view: z.ZodObject;
  create: z.ZodObject;
  /** Allowed changes; an absent field stays, `null` clears it. */
  change: z.ZodType;
  /** Filters of equality in lists. */
  filters: Readonly<Record<string, z.ZodType>>;
  /** Fields that a list can be sorted by; never null. */
  sorts: readonly string[];
  /** Problems beside the common ones that a create or a change may have. */
  problems?: readonly ProblemDefinition[];
}

/** Problems that writes have in common. */
export const PRECONDITIONS = [PROBLEMS.resource_not_found, PROBLEMS.precondition_failed, PROBLEMS.precondition_required] as const;

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** The standard routes of a family. */
export function resourceRoutes({ family, noun, view, create, change, filters, sorts, problems = [] }: ResourceContract) {
  const url = `/api/v1/${family}`;
  const one = `${url}/:id`;
  const ids = { id: `${noun}_id` };
  const read = [`${family}:read`] as const;
  const write = [`${family}:write`] as const;
  const article = /^[aeiou]/.test(noun) ? 'an' : 'a';
  const common = [KERNEL.database_unavailable, ...problems];
  return {
    list: route({
      name: `list${capital(family)}`,
      method: 'GET',
      url,
      scopes: read,
      summary: `${capital(family)} by page`,
      schema: { querystring: listQuery(view, filters, sorts), response: answers(200, pageOf(partial(view)), KERNEL.database_unavailable) },
      idempotent: true,
    }),
    get: route({
      name: `get${capital(noun)}`,
      method: 'GET',
      url: one,
      scopes: read,
      ids,
      summary: `One ${noun}`,
      schema: {
        params: idParams,
        querystring: selection(view),
        headers: ifNoneMatch,
        response: {
          ...answers(200, partial(view), PROBLEMS.resource_not_found, KERNEL.database_unavailable),
          304: empty('The client has the current version'),
        },
      },
      idempotent: true,
    }),
    create: route({
      name: `create${capital(noun)}`,
      method: 'POST',
      url,
      scopes: write,
      creates: ids.id,
      summary: `Creates ${article} ${noun}, once for an idempotency key`,
      schema: {
        headers: createHeaders,
        body: create,
        response: answers(201, view, PROBLEMS.resource_exists, PROBLEMS.reference_not_found, IDEMPOTENCY.idempotency_key_reused, ...common),
      },
      idempotent: true,
    }),
    change: route({
      name: `change${capital(noun)}`,
      method: 'PATCH',
      url: one,
      scopes: write,
      ids,
      summary: `Changes fields of ${article} ${noun}`,
      schema: {
        params: idParams,
        headers: ifMatch,
        body: change,
        response: answers(
          200,
          view,
          ...PRECONDITIONS,
          PROBLEMS.illegal_transition,
          PROBLEMS.resource_exists,
          PROBLEMS.reference_not_found,
          ...common,
        ),
      },
      idempotent: true,
    }),
    remove: route({
      name: `delete${capital(noun)}`,
      method: 'DELETE',
      url: one,
      scopes: write,
      ids,
      summary: `Deletes ${article} ${noun}; it is kept, unreachable, until the end of the retention`,
      schema: {
        params: idParams,
        headers: ifMatch,
        response: { ...answers(204, empty('It is deleted'), ...PRECONDITIONS, PROBLEMS.resource_in_use, KERNEL.database_unavailable) },
      },
      idempotent: true,
    }),
  };
}
