import { Decimal } from 'decimal.js';

/** Scale of an annual rate: numeric(9,6) in the database, so a rate is a whole number of millionths. */
export const RATE_SCALE = 1_000_000n;

/** An annual rate as a whole number of millionths: 21500n is 2.15 %. Exact, and fast to multiply. */
export type ScaledRate = bigint;

/**
 * Turns a decimal annual rate into millionths.
 * @param rate decimal string such as "0.021500" (0.0215 per year)
 * @throws RangeError when the rate has more than six decimals or is not a number
 */
export function scaleRate(rate: string): ScaledRate {
  const scaled = parseDecimal(rate).mul(RATE_SCALE.toString());
  if (!scaled.isInteger()) throw new RangeError(`rate ${rate} has more than six decimals`);
  return BigInt(scaled.toFixed(0));
}

function parseDecimal(text: string): Decimal {
  try {
    const value = new Decimal(text);
    if (value.isFinite()) return value;
  } catch {
    // decimal.js throws its own error type; callers get one kind of error for every text that is not a number
  }
  throw new RangeError(`"${text}" is not a decimal number`);
}

/**
 * Divides exactly and rounds half to even (IEEE 754 roundTiesToEven), the rule that adds no bias over many roundings.
 * @param denominator greater than 0
 */
export function divideHalfEven(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const twiceRemainder = 2n * (numerator % denominator);
  const magnitude = twiceRemainder < 0n ? -twiceRemainder : twiceRemainder;
  const away = magnitude > denominator || (magnitude === denominator && quotient % 2n !== 0n);
  if (!away) return quotient;
  return numerator < 0n ? quotient - 1n : quotient + 1n;
}

/**
 * Simple interest: balance x annual rate x days / days per year, in minor units, rounded once, half to even.
 * @param balanceMinor balance in minor units; a negative balance gives negative interest
 * @param rate annual rate in millionths
 * @param days days as the day-count convention counts them
 * @param daysPerYear days of a year by the same convention
 */
export function simpleInterest(balanceMinor: bigint, rate: ScaledRate, days: number, daysPerYear: bigint): bigint {
  return divideHalfEven(balanceMinor * rate * BigInt(days), daysPerYear * RATE_SCALE);
}
