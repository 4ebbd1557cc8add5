/** Who issues invoices, by configuration. */
import { z } from 'zod';
import type { Issuer } from './document.ts';

/** Lines of a text, divided by `|`. */
const lines = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((text) => text.split('|').map((line) => line.trim()))
    .transform((texts) => texts.filter((line) => line !== ''));

export const issuerEnv = {
  INVOICE_ISSUER_NAME: z.string().min(1).max(100).default('Example Telecom'),
  /** Postal address. */
  INVOICE_ISSUER_ADDRESS: lines('1 Exchange Street|10115 Sampletown|Germany'),
  INVOICE_ISSUER_TAX_ID: z.string().min(1).max(50).default('DE 000 000 000'),
  /** How to pay: bank and account. */
  INVOICE_ISSUER_PAYMENT: lines('Example Bank|IBAN DE00 0000 0000 0000 0000 00'),
};

export function issuerOf(config: z.output<z.ZodObject<typeof issuerEnv>>): Issuer {
  return {
    name: config.INVOICE_ISSUER_NAME,
    address: config.INVOICE_ISSUER_ADDRESS,
    taxId: config.INVOICE_ISSUER_TAX_ID,
    payment: config.INVOICE_ISSUER_PAYMENT,
  };
}
