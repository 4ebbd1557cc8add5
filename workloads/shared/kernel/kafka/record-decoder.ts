import { createRequire } from 'node:module';
import type { IHeaders, KafkaMessage } from 'kafkajs';

/** The part of kafkajs's reader of bytes that is used here. */
interface Decoder {
  readonly buffer: Buffer;
  offset: number;
  readInt8(): number;
  readVarInt(): number;
  readVarIntBytes(): Buffer | null;
}

/** Fields of the batch that a record belongs to, as kafkajs has read them; times and offsets in decimal digits. */
interface BatchContext {
  readonly firstOffset: string;
  readonly magicByte: number;
  readonly isControlBatch?: boolean;
}

type DecodeRecord = (decoder: Decoder, batch: BatchContext) => KafkaMessage;

const require = createRequire(import.meta.url);
const DECODER = require.resolve('kafkajs/src/protocol/recordBatch/record/v0/decoder.js');
const decodeAsKafkajs = require(DECODER) as DecodeRecord;

const CONTINUES = 0x80;
const TRACEPARENT = Buffer.from('traceparent');

/** The records of a request have the same trace: its text is made once. */
let lastTraceparent = { bytes: Buffer.alloc(0), text: '' };

/**
 * A record as kafkajs decodes it, but headers and timestamp are decoded when they are asked for. Most records are applied without a look at
 * either, and the eight headers of an event took half of the memory that a consumer allocated.
 */
export class FetchedRecord {
  readonly magicByte: number;
  readonly attributes: number;
  readonly offset: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly isControlRecord: boolean;
  readonly batchContext: BatchContext;
  readonly #decoder: Decoder;
  /** Where the number of headers begins. */
  readonly #headersAt: number;
  #rest: KafkaMessage | undefined;

  constructor(decoder: Decoder, batch: BatchContext) {
    this.attributes = decoder.readInt8();
    skipVarint(decoder);
    this.offset = plus(batch.firstOffset, decoder.readVarInt());
    this.key = decoder.readVarIntBytes();
    this.value = decoder.readVarIntBytes();
    this.magicByte = batch.magicByte;
    this.isControlRecord = batch.isControlBatch ?? false;
    this.batchContext = batch;
    this.#decoder = decoder;
    this.#headersAt = decoder.offset;
  }

  get headers(): IHeaders {
    return this.#decoded().headers ?? {};
  }

  get timestamp(): string {
    return this.#decoded().timestamp;
  }

  /** Text of the first header `traceparent`, without decoding the others. */
  get traceparent(): string | undefined {
    const decoder = this.#decoder;
    decoder.offset = this.#headersAt;
    for (let count = decoder.readVarInt(); count > 0; count--) {
      const length = decoder.readVarInt();
      const name = decoder.offset;
      decoder.offset += length;
      const size = decoder.readVarInt();
      if (length === TRACEPARENT.length && TRACEPARENT.compare(decoder.buffer, name, name + length) === 0) {
        return size < 0 ? undefined : traceparentIn(decoder.buffer, decoder.offset, decoder.offset + size);
      }
      decoder.offset += Math.max(size, 0);
    }
    return undefined;
  }

  #decoded(): KafkaMessage {
    this.#decoder.offset = 0;
    return (this.#rest ??= decodeAsKafkajs(this.#decoder, this.batchContext));
  }
}

function skipVarint(decoder: Decoder): void {
  while ((decoder.buffer[decoder.offset++] ?? 0) >= CONTINUES);
}

function plus(offset: string, delta: number): string {
  const sum = Number(offset) + delta;
  return Number.isSafeInteger(sum) ? String(sum) : String(BigInt(offset) + BigInt(delta));
}

function traceparentIn(buffer: Buffer, start: number, end: number): string {
  if (lastTraceparent.bytes.compare(buffer, start, end) !== 0) {
    // A copy: a view would keep the fetch in memory.
    const bytes = Buffer.from(buffer.subarray(start, end));
    lastTraceparent = { bytes, text: bytes.toString() };
  }
  return lastTraceparent.text;
}

/** Lets kafkajs decode records to {@link FetchedRecord}. It loads its own decoder with the first fetch, and must not have done so yet. */
export function decodeHeadersLate(): void {
  const loaded = require.cache[DECODER];
  if (!loaded) throw new Error('kafkajs no longer loads its decoder of records as a module of its own');
  loaded.exports = (decoder: Decoder, batch: BatchContext) => new FetchedRecord(decoder, batch);
}
