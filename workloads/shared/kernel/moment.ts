/** Offsets that Postgres refuses: it accepts less than 16 hours, RFC 3339 less than 24. */
const LARGE_OFFSET = /[+-](1[6-9]|2\d):\d\d$/;
const FIRST = '0001-01-01T00:00:00.000Z';
const LAST = '9999-12-31T23:59:59.999Z';

/**
 * A time of RFC 3339 as Postgres accepts it. Times outside the years 1 to 9999 (in UTC) become the first or the last of them: no posting is beyond.
 * @param text a valid time, with the offset of its zone
 */
export function postgresTime(text: string): string {
  const at = Date.parse(text);
  if (at < Date.parse(FIRST)) return FIRST;
  if (at > Date.parse(LAST)) return LAST;
  return LARGE_OFFSET.test(text) ? new Date(at).toISOString() : text;
}

/** SQL for a column of type timestamptz as text of ISO 8601 in UTC, with milliseconds. */
export function isoText(column: string): string {
  return `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}
