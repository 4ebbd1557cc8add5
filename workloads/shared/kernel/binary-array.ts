/**
 * Arrays as parameters in Postgres' binary format: the driver sends a Buffer as binary, and the server reads it without parsing text.
 * Layout (array_send): dimensions, whether there are nulls, oid of the element type, length, lower bound; then length and bytes of each element.
 * Pure.
 */

/** Oids of pg_type, which never change. */
const OID = { bigint: 20, text: 25, date: 1082, uuid: 2950 } as const;
const HEADER_BYTES = 20;
const LENGTH_BYTES = 4;
const BIGINT_BYTES = 8;
const UUID_BYTES = 16;
const HYPHEN = 0x2d;
const NO_DIGIT = 0xff;
/** Value of a hexadecimal digit by its ASCII code. */
const HEX_DIGITS = Uint8Array.from({ length: 128 }, (_value, code) => {
  const digit = Number.parseInt(String.fromCharCode(code), 16);
  return Number.isNaN(digit) ? NO_DIGIT : digit;
});
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
  const buffer = allocate(OID.uuid, values.length, values.length * (LENGTH_BYTES + UUID_BYTES));
  let at = HEADER_BYTES;
  for (const value of values) {
    at = buffer.writeInt32BE(UUID_BYTES, at);
    if (!writeUuid(buffer, value, at)) throw new TypeError(`"${value}" is not a UUID`);
    at += UUID_BYTES;
  }
  return buffer;
}

/** Writes the digits one by one, because a copy of each id without hyphens would be one more allocation. @returns false when it is no UUID */
function writeUuid(buffer: Buffer, value: string, start: number): boolean {
  let [at, high] = [start, NO_DIGIT];
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index);
    if (code === HYPHEN) continue;
    const digit = HEX_DIGITS[code] ?? NO_DIGIT;
    if (digit === NO_DIGIT || at === start + UUID_BYTES) return false;
    if (high === NO_DIGIT) high = digit;
    else {
      buffer[at++] = high * 16 + digit;
      high = NO_DIGIT;
    }
  }
  return at === start + UUID_BYTES && high === NO_DIGIT;
}

/** @returns text when a value does not fit a bigint: the database then refuses it, as it refuses other values out of range */
export function bigintArray(values: readonly bigint[]): Buffer | string {
  const buffer = allocate(OID.bigint, values.length, values.length * (LENGTH_BYTES + BIGINT_BYTES));
  // Buffer's writeBigInt64BE allocates two more bigints for each value.
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  let at = HEADER_BYTES;
  for (const value of values) {
    if (BigInt.asIntN(64, value) !== value) return `{${values.join(',')}}`;
    view.setInt32(at, BIGINT_BYTES);
    view.setBigInt64(at + LENGTH_BYTES, value);
    at += LENGTH_BYTES + BIGINT_BYTES;
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
