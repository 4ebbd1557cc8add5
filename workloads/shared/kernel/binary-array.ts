/**
 * Arrays as parameters in Postgres' binary format: the driver sends a Buffer as binary, and the server reads it without parsing text.
 * Layout (array_send): dimensions, whether there are nulls, oid of the element type, length, lower bound; then length and bytes of each element.
 * Pure.
 */

/** Oids of pg_type, which never change. */
const OID = { bigint: 20, text: 25, date: 1082, uuid: 2950 } as const;
const HEADER_BYTES = 20;
const LENGTH_BYTES = 4;
const DAY_MS = 86_400_000;
/** Day 0 of Postgres' dates. */
const EPOCH_MS = Date.UTC(2000, 0, 1);

/** @param bytes of all elements, with their lengths */
function allocate(oid: number, count: number, bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + bytes);
  // An array of no elements has no dimension; the length and bound behind it are not read.
  buffer.writeInt32BE(count === 0 ? 0 : 1, 0);
  buffer.writeInt32BE(0, 4);
  buffer.writeInt32BE(oid, 8);
  buffer.writeInt32BE(count, 12);
  buffer.writeInt32BE(1, 16);
  return count === 0 ? buffer.subarray(0, 12) : buffer;
}

/** @param values UUIDs with hyphens */
export function uuidArray(values: readonly string[]): Buffer {
  const buffer = allocate(OID.uuid, values.length, values.length * (LENGTH_BYTES + 16));
  let at = HEADER_BYTES;
  for (const value of values) {
    at = buffer.writeInt32BE(16, at);
    const written = buffer.write(value.replaceAll('-', ''), at, 'hex');
    if (written !== 16) throw new TypeError(`"${value}" is not a UUID`);
    at += written;
  }
  return buffer;
}

/** @returns text when a value does not fit a bigint: the database then refuses it, as it refuses other values out of range */
export function bigintArray(values: readonly bigint[]): Buffer | string {
  const buffer = allocate(OID.bigint, values.length, values.length * (LENGTH_BYTES + 8));
  let at = HEADER_BYTES;
  for (const value of values) {
    if (BigInt.asIntN(64, value) !== value) return `{${values.join(',')}}`;
    at = buffer.writeInt32BE(8, at);
    at = buffer.writeBigInt64BE(value, at);
  }
  return buffer;
}

/** @param values ISO dates (2026-01-31) */
export function dateArray(values: readonly string[]): Buffer {
  const buffer = allocate(OID.date, values.length, values.length * (LENGTH_BYTES + 4));
  // The same few dates come again and again.
  const days = new Map<string, number>();
  let at = HEADER_BYTES;
  for (const value of values) {
    let day = days.get(value);
    if (day === undefined) {
      day = (Date.parse(value) - EPOCH_MS) / DAY_MS;
      days.set(value, day);
    }
    at = buffer.writeInt32BE(4, at);
    at = buffer.writeInt32BE(day, at);
  }
  return buffer;
}

/** @param values ASCII texts */
export function textArray(values: readonly string[]): Buffer {
  let bytes = 0;
  for (const value of values) bytes += LENGTH_BYTES + value.length;
  const buffer = allocate(OID.text, values.length, bytes);
  let at = HEADER_BYTES;
  for (const value of values) {
    at = buffer.writeInt32BE(value.length, at);
    at += buffer.write(value, at, 'latin1');
  }
  return buffer;
}
