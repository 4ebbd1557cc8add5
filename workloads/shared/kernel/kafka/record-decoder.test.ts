/** Records of random content, written byte by byte as Kafka's protocol says, against what kafkajs's own decoder makes of them. */
import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { createRequire } from 'node:module';
import test from 'node:test';
import type { KafkaMessage } from 'kafkajs';
import { toBatch } from './batch.ts';
import { FetchedRecord } from './record-decoder.ts';

type Bytes = Buffer | string | null;
interface Written {
  timestampDelta: bigint;
  offsetDelta: number;
  key: Bytes;
  value: Bytes;
  headers: [name: string, value: Bytes][];
}

const require = createRequire(import.meta.url);
const kafkajs = (path: string): unknown => require(`kafkajs/src/protocol/${path}.js`);
const Decoder = kafkajs('decoder') as new (bytes: Buffer) => ConstructorParameters<typeof FetchedRecord>[0];
const decodeAsKafkajs = kafkajs('recordBatch/record/v0/decoder') as (decoder: object, batch: object) => KafkaMessage;

/** Protocol Buffers' zigzag encoding, which Kafka uses for every number of a record. */
function varint(value: bigint | number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.of(...bytes, Number(rest));
}

function sized(content: Bytes): Buffer {
  return content === null ? varint(-1) : Buffer.concat([varint(Buffer.byteLength(content)), Buffer.from(content)]);
}

function bytesOf({ timestampDelta, offsetDelta, key, value, headers }: Written): Buffer {
  const named = headers.flatMap(([name, content]) => [sized(name), sized(content)]);
  return Buffer.concat([
    Buffer.of(0),
    varint(timestampDelta),
    varint(offsetDelta),
    sized(key),
    sized(value),
    varint(headers.length),
    ...named,
  ]);
}

const BATCH = {
  firstOffset: '41',
  firstTimestamp: '1764313200000',
  maxTimestamp: '1764313200999',
  magicByte: 2,
  timestampType: 0,
  producerId: '-1',
};
const PLAIN: Written = { timestampDelta: 0n, offsetDelta: 0, key: 'k', value: 'v', headers: [] };
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

const decoded = (written: Written, batch: object = BATCH): FetchedRecord =>
  new FetchedRecord(new Decoder(bytesOf(written)), { ...BATCH, ...batch });

function assertSame(written: Written, batch: object = BATCH): void {
  const record = decoded(written, batch);
  const { headers, timestamp, ...rest } = decodeAsKafkajs(new Decoder(bytesOf(written)), batch);
  const [first] = [headers?.['traceparent']].flat();
  // In any order, and more than once.
  for (let round = 0; round < 2; round++) {
    assert.equal(record.traceparent, first?.toString());
    assert.deepEqual(record.headers, headers);
    assert.equal(record.timestamp, timestamp);
  }
  assert.deepEqual(Object.fromEntries(Object.entries(record)), rest);
}

const cases: [what: string, written: Partial<Written>, batch?: object][] = [
  ['no headers', {}],
  ['neither key nor value', { key: null, value: null }],
  ['an empty value', { value: '' }],
  ['a trace', { headers: [['traceparent', TRACE]] }],
  [
    'a trace behind names of the same length',
    {
      headers: [
        ['traceparenu', 'x'],
        ['xraceparent', 'y'],
        ['traceparent', TRACE],
      ],
    },
  ],
  [
    'two traces',
    {
      headers: [
        ['traceparent', TRACE],
        ['ce_id', '1'],
        ['traceparent', 'other'],
      ],
    },
  ],
  ['a trace that is null', { headers: [['traceparent', null]] }],
  [
    'a null before the trace',
    {
      headers: [
        ['ce_id', null],
        ['traceparent', TRACE],
      ],
    },
  ],
  ['an empty trace', { headers: [['traceparent', '']] }],
  ['times before the first of the batch', { timestampDelta: -86_400_000n }],
  ['the longest time', { timestampDelta: 9_000_000_000_000_000n }],
  ['an offset beyond the exact numbers of JavaScript', { offsetDelta: 7 }, { ...BATCH, firstOffset: '9007199254740990' }],
  ['a control record', {}, { ...BATCH, isControlBatch: true }],
  ['the time of the broker', { timestampDelta: 5n }, { ...BATCH, timestampType: 1 }],
];
for (const [what, written, batch] of cases) await test(`a record with ${what}`, () => assertSame({ ...PLAIN, ...written }, batch));

await test('random records', () => {
  const bytes = (): Bytes => (randomInt(6) === 0 ? null : randomBytes(randomInt(200)));
  const name = (): string => ['traceparent', 'ce_id', 'Überschrift', '', 'tracestate'][randomInt(5)] ?? '';
  for (let round = 0; round < 2_000; round++) {
    assertSame({
      timestampDelta: BigInt(randomInt(-1_000_000, 100_000_000)),
      offsetDelta: randomInt(2 ** 31),
      key: bytes(),
      value: bytes(),
      headers: Array.from({ length: randomInt(10) }, () => [name(), bytes()]),
    });
  }
});

await test('records of several traces keep their own', () => {
  const traces = [TRACE, TRACE.replace('0af', '1af'), TRACE, 'x', TRACE];
  const records = traces.map((trace) => decoded({ ...PLAIN, headers: [['traceparent', trace]] }));
  assert.deepEqual(
    records.map(({ traceparent }) => traceparent),
    traces,
  );
});

await test('with our client, kafkajs decodes a batch of a fetch with it', async () => {
  // Only now: the decoder of kafkajs that the other tests compare with was loaded before.
  await import('./client.ts');
  const encodeRecord = kafkajs('recordBatch/record/v0/index') as (record: object) => unknown;
  const { RecordBatch } = kafkajs('recordBatch/v0/index') as { RecordBatch: (batch: object) => Promise<{ buffer: Buffer }> };
  const decodeBatch = kafkajs('recordBatch/v0/decoder') as (decoder: object) => Promise<{ records: FetchedRecord[] }>;
  const records = [
    encodeRecord({ key: 'a', value: '1', headers: { traceparent: TRACE, ce_id: '7' } }),
    encodeRecord({ offsetDelta: 1, timestampDelta: 3, key: 'b', value: '2' }),
  ];
  const { buffer } = await RecordBatch({ firstOffset: 5, firstTimestamp: 1_000, maxTimestamp: 1_003, lastOffsetDelta: 1, records });
  const messages = (await decodeBatch(new Decoder(buffer))).records;
  assert.ok(messages.every((message) => message instanceof FetchedRecord));
  const batch = { topic: 't', partition: 0, fetchedOffset: '5', lastOffset: () => '6', messages };
  assert.deepEqual(
    toBatch({ batch } as never).records.map(({ offset, key, value, headers, timestamp, traceparent }) => ({
      texts: [key, value, ...Object.entries(headers)].map(String),
      place: [offset, timestamp],
      traceparent,
    })),
    [
      { texts: ['a', '1', `traceparent,${TRACE}`, 'ce_id,7'], place: [5n, '1000'], traceparent: TRACE },
      { texts: ['b', '2'], place: [6n, '1003'], traceparent: undefined },
    ],
  );
});
