import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import kafkajs from 'kafkajs';
import { compressFrame, decompressFrame } from 'lz4-napi';
import { compress, uncompress } from 'snappy';

// kafkajs is a CommonJS module, of which Node finds no export of this name.
const { CompressionCodecs, CompressionTypes } = kafkajs;

/** A codec as kafkajs calls it. kafkajs has gzip of its own. */
interface Codec {
  /** @param encoder kafkajs's growing buffer, which holds the batch */
  compress(encoder: { buffer: Buffer }): Promise<Buffer>;
  decompress(data: Buffer): Promise<Buffer>;
}

const codecs: Record<number, Codec> = {
  [CompressionTypes.Snappy]: { compress: ({ buffer }) => compress(buffer), decompress: unsnap },
  [CompressionTypes.LZ4]: { compress: ({ buffer }) => compressFrame(buffer), decompress: decompressFrame },
  [CompressionTypes.ZSTD]: { compress: ({ buffer }) => promisify(zstdCompress)(buffer), decompress: promisify(zstdDecompress) },
};

/** Java clients write snappy-java's stream: this magic, two version numbers of 4 bytes, then blocks, each with its length in 4 bytes. */
const SNAPPY_JAVA = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const SNAPPY_JAVA_HEADER = 16;

/** Decompresses a Snappy block, or a stream of blocks in snappy-java's framing. @throws Error when the data is not Snappy */
export async function unsnap(data: Buffer): Promise<Buffer> {
  if (!data.subarray(0, SNAPPY_JAVA.length).equals(SNAPPY_JAVA)) return block(data);
  const blocks: Promise<Buffer>[] = [];
  for (let at = SNAPPY_JAVA_HEADER; at < data.length;) {
    const end = at + 4 + data.readUInt32BE(at);
    if (end > data.length) throw new Error(`a snappy block ends at byte ${end} of ${data.length}`);
    blocks.push(block(data.subarray(at + 4, end)));
    at = end;
  }
  return Buffer.concat(await Promise.all(blocks));
}

async function block(data: Buffer): Promise<Buffer> {
  return Buffer.from(await uncompress(data));
}

/** Makes kafkajs read, and write, what it cannot by itself: a topic takes batches of any codec, and one that is unreadable stops its consumers. */
export function registerCodecs(): void {
  for (const [type, codec] of Object.entries(codecs)) Object.assign(CompressionCodecs, { [type]: () => codec });
}
