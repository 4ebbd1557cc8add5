/** The product catalogue: what customers can order and subscribe to. */
import { z } from 'zod';
import { changesOf, currency, line, minorUnits, resourceFields, taxBasisPoints } from './common.ts';
import { resourceRoutes } from './resource.ts';
import type { ResourceContract } from './resource.ts';
import { STATE_MACHINES, statesOf } from './states.ts';

const status = z.enum(statesOf('product'));
const category = z.enum(['mobile', 'broadband', 'tv', 'voice', 'iot', 'device', 'addon']);
const code = z.string().regex(/^[a-z0-9-]{1,64}$/, 'must be 1 to 64 lower-case letters, digits or "-"');

export const productView = z.object({
  ...resourceFields,
  code,
  name: z.string(),
  description: z.string().nullable(),
  category,
  status,
  currency,
  recurringMinor: minorUnits.describe('Price of a month'),
  oneTimeMinor: minorUnits.describe('Price of an order'),
  taxBasisPoints,
});
export type Product = z.output<typeof productView>;

export const newProduct = z.strictObject({
  code: code.describe('Unique'),
  name: line(200),
  description: line(2_000).nullable().optional(),
  category,
  status: status.extract([...STATE_MACHINES.product.initial]).default(STATE_MACHINES.product.initial[0]),
  currency: currency.default('EUR'),
  recurringMinor: minorUnits.default('0'),
  oneTimeMinor: minorUnits.default('0'),
  taxBasisPoints: taxBasisPoints.default(1_900),
});

export const productChanges = changesOf({
  name: line(200),
  description: line(2_000).nullable(),
  status,
  recurringMinor: minorUnits,
  oneTimeMinor: minorUnits,
  taxBasisPoints,
});

export const PRODUCTS = {
  family: 'products',
  noun: 'product',
  view: productView,
  create: newProduct,
  change: productChanges,
  filters: { status, category, code },
  sorts: ['createdAt', 'updatedAt', 'name', 'code'],
} as const satisfies ResourceContract;

export const productRoutes = resourceRoutes(PRODUCTS);
