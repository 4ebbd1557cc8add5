/**
 * Request and response of Kafka's Metadata API for the id of one topic, in the shape in which kafkajs sends and receives.
 * Source: MetadataRequest.json and MetadataResponse.json of Apache Kafka; version 12 (Kafka 3.1) is the first whose topic ids work.
 */
export const METADATA = { apiKey: 3, apiVersion: 12, apiName: 'Metadata' };

const UUID_BYTES = 16;
const NO_TAGS = 0;
const NO_ERROR = 0;
const LEADER_NOT_AVAILABLE = 5;

/** A request of kafkajs: it writes the fields of the older request header itself, and then `buffer`. */
export function topicIdRequest(topic: string) {
  return { ...METADATA, encode: () => Promise.resolve(encoded(topic)) };
}

function encoded(topic: string): { buf: Buffer; buffer: Buffer } {
  const name = Buffer.from(topic);
  const bytes = Buffer.concat([
    // The last field of the flexible request header.
    Buffer.of(NO_TAGS),
    // Lengths of compact arrays and strings are one more than they are, because 0 is null. One topic, by name: its id is zero.
    unsignedVarint(1 + 1),
    Buffer.alloc(UUID_BYTES),
    unsignedVarint(name.length + 1),
    name,
    Buffer.of(NO_TAGS),
    // Neither create the topic nor list the authorized operations.
    Buffer.of(0, 0, NO_TAGS),
  ]);
  return { buf: bytes, buffer: bytes };
}

/** A response of kafkajs. `parse` gives the id as Kafka's tools print it; undefined when the broker reports none. */
export const topicIdResponse = {
  decode: (bytes: Buffer) => Promise.resolve(decoded(new Reader(bytes))),
  parse: ({ topicId }: Decoded) => Promise.resolve(topicId),
};

interface Decoded {
  /** Time in milliseconds for which the client must send nothing more. */
  clientSideThrottleTime: number;
  topicId: string | undefined;
}

/** Reads up to the id of the first topic; what follows is not needed. */
function decoded(reader: Reader): Decoded {
  reader.tags();
  const clientSideThrottleTime = reader.int32();
  for (let brokers = reader.length(); brokers > 0; brokers--) {
    reader.int32();
    reader.bytes();
    reader.int32();
    reader.bytes();
    reader.tags();
  }
  reader.bytes();
  reader.int32();
  if (reader.length() === 0) return { clientSideThrottleTime, topicId: undefined };
  const error = reader.int16();
  reader.bytes();
  const id = reader.take(UUID_BYTES);
  const valid = (error === NO_ERROR || error === LEADER_NOT_AVAILABLE) && id.some((byte) => byte !== 0);
  return { clientSideThrottleTime, topicId: valid ? id.toString('base64url') : undefined };
}

/** Reads the types of flexible versions. @throws Error where the bytes end too early */
class Reader {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  take(length: number): Buffer {
    const taken = this.#bytes.subarray(this.#offset, this.#offset + length);
    if (taken.length < length) throw new Error(`the metadata response ends after ${this.#bytes.length} bytes, in the middle of a field`);
    this.#offset += length;
    return taken;
  }

  int16(): number {
    return this.take(2).readInt16BE();
  }

  int32(): number {
    return this.take(4).readInt32BE();
  }

  unsignedVarint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.take(1).readUInt8();
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
  }

  /** Of a compact array or string; null is read as empty. */
  length(): number {
    return Math.max(0, this.unsignedVarint() - 1);
  }

  /** Of a compact string. */
  bytes(): Buffer {
    return this.take(this.length());
  }

  tags(): void {
    for (let fields = this.unsignedVarint(); fields > 0; fields--) {
      this.unsignedVarint();
      this.take(this.unsignedVarint());
    }
  }
}

function unsignedVarint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}
