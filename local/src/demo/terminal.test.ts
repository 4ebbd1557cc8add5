import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PassThrough } from 'node:stream';
import { TerminalRecording, terminalSvg } from './terminal.ts';

const OPTIONS = { command: 'make demo', columns: 40, rows: 3, speed: 10, longestPause: 20 };

/** Text of each line in the order of the picture. */
const texts = (svg: string): string[] => [...svg.matchAll(/<text y="[^>]*>([^<]*)<\/text>/g)].map(([, text = '']) => text);

void test('shows the command and every line, without markup of the run in its own', () => {
  const svg = terminalSvg([{ at: 1, text: 'a <b> & "c"' }], OPTIONS);
  assert.deepEqual(texts(svg), ['$ make demo', 'a &lt;b&gt; &amp; "c"']);
});

void test('cuts a line to the width of the terminal', () => {
  assert.equal(texts(terminalSvg([{ at: 0, text: 'x'.repeat(50) }], OPTIONS))[1], 'x'.repeat(40));
});

void test('a long silence is cut, and the end stays for eight seconds', () => {
  const svg = terminalSvg(
    [
      { at: 10, text: 'one' },
      { at: 500, text: 'two' },
    ],
    OPTIONS,
  );
  // 10 s and 20 s of the run are 1 s and 2 s of the picture.
  assert.match(svg, /infinite/);
  assert.match(svg, /animation:11\.0s/);
  assert.match(svg, /animation-name:f91".*one/);
  assert.match(svg, /animation-name:f273".*two/);
});

void test('scrolls as soon as a line has no place, and stands at the end without animation', () => {
  const svg = terminalSvg(
    [1, 2, 3, 4].map((at) => ({ at, text: `line ${at}` })),
    OPTIONS,
  );
  assert.match(svg, /\.screen\{transform:translateY\(-36px\)/);
  assert.equal(svg.match(/%\{transform:translateY\(-\d+px\)\}/g)?.length, 3);
});

void test('records the lines that are printed, and passes them on', async () => {
  const stream = new PassThrough();
  const recording = new TerminalRecording(stream as unknown as NodeJS.WriteStream);
  stream.write('first\nsecond\n');
  stream.end();
  const passed = (await stream.toArray()) as Buffer[];
  assert.deepEqual(
    recording.lines().map(({ text }) => text),
    ['first', 'second'],
  );
  assert.equal(Buffer.concat(passed).toString(), 'first\nsecond\n');
});
