/**
 * Day-count conventions: the part of a year that a period is. A period has a number of actual days and ends, exclusive, on the value date.
 * The names are those of ISDA's 2006 definitions, section 4.16: ACT/365F (d), ACT/360 (e), and 30/360 (f), which is also called bond basis. Pure.
 */

export const DAY_COUNTS = ['ACT/365F', 'ACT/360', '30/360'] as const;
export type DayCount = (typeof DAY_COUNTS)[number];

/** Days of a year by the convention: the denominator. */
export const DAYS_PER_YEAR: Readonly<Record<DayCount, bigint>> = { 'ACT/365F': 365n, 'ACT/360': 360n, '30/360': 360n };

const DAY_MS = 86_400_000;

/** A name of a convention. @throws RangeError for any other text */
export function dayCountOf(name: string): DayCount {
  const known = DAY_COUNTS.find((each) => each === name);
  if (known === undefined) throw new RangeError(`"${name}" is not a day-count convention; write ${DAY_COUNTS.join(', ')}`);
  return known;
}

/**
 * Days of a period by the convention: the numerator.
 * @param days actual days of the period
 * @param end ISO date after its last day
 */
export function countedDays(dayCount: DayCount, days: number, end: string): number {
  return dayCount === '30/360' ? bondDays(days, end) : days;
}

/**
 * Every month has 30 days. The 31st counts as the 30th at the start, and at the end if the start is the 30th or the 31st. February is not extended.
 * A period that is split at the 31st of a month may therefore count one day more than the whole.
 */
function bondDays(days: number, end: string): number {
  const endsAt = new Date(`${end}T00:00:00Z`);
  const startsAt = new Date(endsAt.getTime() - days * DAY_MS);
  const startDay = Math.min(startsAt.getUTCDate(), 30);
  const endDay = Math.min(endsAt.getUTCDate(), startDay === 30 ? 30 : 31);
  const months = 12 * (endsAt.getUTCFullYear() - startsAt.getUTCFullYear()) + endsAt.getUTCMonth() - startsAt.getUTCMonth();
  return 30 * months + endDay - startDay;
}
