/** The catalogue of the generated telecom, and what its customers choose from it. Pure. */
import type { z } from 'zod';
import type { newProduct } from '../../shared/contracts/crm/products.ts';

/** Prices in minor units of the currency. */
export interface CatalogueProduct {
  code: string;
  name: string;
  category: z.output<typeof newProduct>['category'];
  /** Default: launched. */
  status?: 'inDesign' | 'retired';
  recurringMinor: number;
  oneTimeMinor: number;
}

type Line = readonly [code: string, name: string, recurringMinor: number, oneTimeMinor: number];

const lines = (category: CatalogueProduct['category'], ...all: Line[]): CatalogueProduct[] =>
  all.map(([code, name, recurringMinor, oneTimeMinor]) => ({ code, name, category, recurringMinor, oneTimeMinor }));

export const CATALOGUE: readonly CatalogueProduct[] = [
  ...lines(
    'mobile',
    ['mobile-s', 'Mobile S, 5 GB', 999, 999],
    ['mobile-m', 'Mobile M, 20 GB', 1_999, 999],
    ['mobile-l', 'Mobile L, 60 GB', 2_999, 999],
    ['mobile-xl', 'Mobile XL, unlimited', 4_499, 0],
  ),
  ...lines(
    'broadband',
    ['fibre-100', 'Fibre 100', 2_999, 4_999],
    ['fibre-250', 'Fibre 250', 3_999, 4_999],
    ['fibre-1000', 'Fibre 1000', 5_999, 4_999],
  ),
  ...lines('tv', ['tv-basic', 'TV Basic', 799, 0], ['tv-premium', 'TV Premium', 1_999, 0]),
  ...lines('voice', ['voice-flat', 'Voice Flat', 499, 0]),
  ...lines('iot', ['iot-sim', 'IoT SIM', 199, 199], ['iot-meter', 'IoT Meter', 349, 999]),
  ...lines(
    'addon',
    ['data-5', 'Data +5 GB', 999, 0],
    ['roaming', 'Roaming World', 1_499, 0],
    ['security', 'Security Package', 299, 0],
    ['fixed-ip', 'Fixed IP address', 999, 1_999],
  ),
  ...lines(
    'device',
    ['phone-a', 'Phone A', 0, 24_900],
    ['phone-b', 'Phone B Pro', 0, 79_900],
    ['router', 'Home Router', 0, 12_900],
    ['set-top-box', 'Set-top box', 0, 7_900],
  ),
  { code: 'mobile-classic', name: 'Mobile Classic', category: 'mobile', status: 'retired', recurringMinor: 1_499, oneTimeMinor: 999 },
  { code: 'fibre-2500', name: 'Fibre 2500', category: 'broadband', status: 'inDesign', recurringMinor: 9_999, oneTimeMinor: 4_999 },
];

/** Places of products in the catalogue, each as often as its weight. */
function weighted(weights: Readonly<Record<string, number>>): number[] {
  return Object.entries(weights).flatMap(([code, weight]) => {
    const place = CATALOGUE.findIndex((product) => product.code === code);
    if (place === -1) throw new Error(`there is no product ${code}`);
    return Array.from({ length: weight }, () => place);
  });
}

/** What a customer takes first, second and third, and orders later on. */
export const CHOICES = {
  first: weighted({
    'mobile-s': 4,
    'mobile-m': 7,
    'mobile-l': 4,
    'mobile-xl': 1,
    'mobile-classic': 1,
    'fibre-100': 3,
    'fibre-250': 5,
    'fibre-1000': 2,
  }),
  ofOrganizations: weighted({ 'iot-sim': 3, 'iot-meter': 1, 'mobile-m': 3, 'fibre-1000': 2 }),
  second: weighted({ 'mobile-s': 3, 'mobile-m': 2, 'fibre-250': 3, 'tv-basic': 3, 'tv-premium': 1, 'voice-flat': 2 }),
  third: weighted({ 'data-5': 2, roaming: 1, security: 4, 'fixed-ip': 1, 'tv-premium': 1 }),
  devices: weighted({ 'phone-a': 5, 'phone-b': 2, router: 2, 'set-top-box': 1 }),
} as const;
