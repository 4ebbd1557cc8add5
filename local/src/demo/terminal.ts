/** A recorded run of a command as an animated SVG: what a terminal showed, line by line. Pure: lines with times in, text out. */

export interface TerminalLine {
  /** Seconds since the command began. */
  readonly at: number;
  readonly text: string;
}

export interface TerminalOptions {
  readonly command: string;
  readonly columns: number;
  readonly rows: number;
  /** Seconds of the run for each second of the picture. */
  readonly speed: number;
  /** A longer silence of the run is cut to this; seconds of the run. */
  readonly longestPause: number;
}

const LINE = 18;
const CHARACTER = 8.4;
const PADDING = 14;
const TITLE = 30;
/** Seconds for which the end stays before the picture begins again. */
const REST = 8;

/** @returns an SVG that repeats the run for ever; viewers without animation show its end */
export function terminalSvg(lines: readonly TerminalLine[], options: TerminalOptions): string {
  const shown = [{ at: 0, text: `$ ${options.command}` }, ...lines];
  const times = playTimes(shown, options);
  const total = (times.at(-1) ?? 0) + REST;
  const width = Math.round(options.columns * CHARACTER + 2 * PADDING);
  const height = options.rows * LINE + TITLE + 2 * PADDING;
  const scrolled = Math.max(0, shown.length - options.rows);
  const texts = shown.map(({ text }, index) => {
    const from = index === 0 ? 0 : (times[index] ?? 0);
    return `<text y="${(index + 1) * LINE - 4}" class="${classOf(text)}"${appears(from, total)}>${escaped(text.slice(0, options.columns))}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>A run of ${escaped(options.command)}</title>`,
    `<style>${style(times, scrolled, options.rows, total)}</style>`,
    `<rect width="${width}" height="${height}" rx="8" fill="#10151c"/>`,
    ...['#e06c5f', '#e2b54a', '#63b366'].map((colour, index) => `<circle cx="${20 + index * 18}" cy="16" r="5.5" fill="${colour}"/>`),
    `<svg x="${PADDING}" y="${TITLE + PADDING / 2}" width="${width - 2 * PADDING}" height="${options.rows * LINE + 4}">`,
    `<g class="screen">`,
    ...texts,
    '</g></svg></svg>',
    '',
  ].join('\n');
}

/** Seconds of the picture at which each line appears. */
function playTimes(lines: readonly TerminalLine[], { speed, longestPause }: TerminalOptions): number[] {
  let play = 0;
  return lines.map(({ at }, index) => {
    const pause = at - (lines[index - 1]?.at ?? 0);
    play += Math.min(Math.max(0, pause), longestPause) / speed;
    return play;
  });
}

/** Every line is there from the start of a cycle, invisible until its time. Without animation it is visible. */
function appears(from: number, total: number): string {
  return from === 0 ? '' : ` style="animation-name:f${frame(from, total)}"`;
}

/** Times in the picture are rounded to a thousandth of it, so that lines of the same moment share a rule. */
const frame = (at: number, total: number): number => Math.round((at / total) * 1000);

function style(times: readonly number[], scrolled: number, rows: number, total: number): string {
  const duration = `${total.toFixed(1)}s`;
  const frames = [...new Set(times.filter((at) => at > 0).map((at) => frame(at, total)))];
  const appear = frames.map((at) => `@keyframes f${at}{0%,${at / 10}%{opacity:0}${(at + 1) / 10}%,100%{opacity:1}}`);
  const steps = times.flatMap((at, index) => {
    const up = index + 1 - rows;
    return up > 0 ? [`${frame(at, total) / 10}%{transform:translateY(${-up * LINE}px)}`] : [];
  });
  const end = -scrolled * LINE;
  return [
    `text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#d5dbe3;white-space:pre;animation:${duration} step-end infinite}`,
    '.ok{fill:#7bc77e}.note{fill:#8fb7e8}.head{fill:#fff;font-weight:600}.bad{fill:#ef8a80}',
    `.screen{transform:translateY(${end}px);animation:scroll ${duration} step-end infinite}`,
    `@keyframes scroll{0%{transform:translateY(0)}${steps.join('')}100%{transform:translateY(${end}px)}}`,
    ...appear,
  ].join('');
}

function classOf(text: string): 'ok' | 'bad' | 'note' | 'head' | 'text' {
  if (/^\s*[✔✓]/.test(text)) return 'ok';
  if (/^\s*[✗✘]/.test(text)) return 'bad';
  if (/^\$ |^[A-Z][a-z ]+$/.test(text)) return 'head';
  return /^\s{9}\S/.test(text) ? 'note' : 'text';
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Keeps what the process prints on standard output, with the time of each line. */
export class TerminalRecording {
  readonly #lines: TerminalLine[] = [];
  readonly #started = Date.now();
  readonly #write: typeof process.stdout.write;

  constructor(stdout: NodeJS.WriteStream = process.stdout) {
    this.#write = stdout.write.bind(stdout);
    const write = this.#write as (...args: unknown[]) => boolean;
    stdout.write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
      this.#keep(typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString());
      return write(chunk, ...rest);
    };
  }

  lines(): readonly TerminalLine[] {
    return this.#lines;
  }

  #keep(chunk: string): void {
    const at = (Date.now() - this.#started) / 1000;
    const lines = chunk.replace(/\n$/, '').split('\n');
    this.#lines.push(...lines.map((text) => ({ at, text })));
  }
}
