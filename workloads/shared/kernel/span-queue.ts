import { ExportResultCode } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { TraceFlags } from '@opentelemetry/api';

/** Most spans that wait for their export, in the queue and on the way. At 1,000 spans/s they bridge 8 s without a receiver. */
const MAX_SPANS = 8192;
/** Spans of one request. */
const BATCH_SPANS = 512;
/** Time for which a queue below one batch collects more. */
const DELAY_MS = 1_000;
/** Requests on the way: a receiver that takes a second for each still takes 2,000 spans/s. */
const MAX_EXPORTS = 4;
/** Time between requests after one has failed; the exporter itself has retried that one with backoff. */
const RETRY_MS = 1_000;
/** Time for the spans that are left when the process stops. */
const SHUTDOWN_MS = 5_000;

export interface SpanQueueOptions {
  /** Called with the number of spans that the receiver accepted. */
  exported: (spans: number) => void;
  /** Called with the number of spans that are lost, and why. */
  dropped: (spans: number, reason: string) => void;
  maxSpans?: number;
  shutdownMs?: number;
}

/**
 * Exports sampled spans in batches, and keeps a batch that was not accepted until the receiver is back. The SDK's own processor drops such a
 * batch, and counts neither it nor the spans that find the queue full. Spans are lost, and counted, in three cases: the queue is full; the
 * receiver refuses a batch as invalid; the receiver does not accept what is left within the time limit of the shutdown.
 */
export class SpanQueue implements SpanProcessor {
  readonly #exporter: SpanExporter;
  readonly #options: SpanQueueOptions;
  #queue: ReadableSpan[] = [];
  #onTheWay = 0;
  #exports = 0;
  /** The last request has failed: one at a time finds out whether the receiver is back. */
  #failing = false;
  #timer: NodeJS.Timeout | undefined;
  #flushing = false;
  #stopped = false;
  #whenEmpty: (() => void)[] = [];

  constructor(exporter: SpanExporter, options: SpanQueueOptions) {
    this.#exporter = exporter;
    this.#options = options;
  }

  /** Spans that wait for their export. */
  get size(): number {
    return this.#queue.length + this.#onTheWay;
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if ((span.spanContext().traceFlags & TraceFlags.SAMPLED) === 0) return;
    const { maxSpans = MAX_SPANS, dropped } = this.#options;
    if (this.#stopped) return dropped(1, 'it ended after the shutdown');
    if (this.size >= maxSpans) return dropped(1, 'the queue is full');
    this.#queue.push(span);
    this.#schedule();
  }

  /** Resolves when every span so far is exported, or lost. */
  forceFlush(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    this.#flushing = true;
    // What waits after a failure is tried at once.
    this.#failing = false;
    const empty = new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
    this.#schedule();
    return empty;
  }

  /** Exports what waits, within the time limit. Further spans are lost. */
  async shutdown(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, this.#options.shutdownMs ?? SHUTDOWN_MS)));
    await Promise.race([this.forceFlush(), limit]);
    clearTimeout(timer);
    this.#stopped = true;
    clearTimeout(this.#timer);
    if (this.size > 0) this.#options.dropped(this.size, 'the receiver did not accept them before the process stopped');
    this.#queue = [];
    // A request on the way must not keep the process waiting for its own time limit.
    if (this.#exports === 0) await this.#exporter.shutdown();
  }

  /** Sends full batches at once, and the rest after the delay. */
  #schedule(): void {
    while (!this.#failing && this.#exports < MAX_EXPORTS && this.#queue.length >= (this.#flushing ? 1 : BATCH_SPANS)) this.#send();
    if (this.#queue.length > 0) this.#timer ??= setTimeout(() => this.#afterDelay(), this.#failing ? RETRY_MS : DELAY_MS).unref();
  }

  #afterDelay(): void {
    this.#timer = undefined;
    if (this.#queue.length > 0 && this.#exports < (this.#failing ? 1 : MAX_EXPORTS)) this.#send();
    this.#schedule();
  }

  #send(): void {
    const batch = this.#queue.splice(0, BATCH_SPANS);
    this.#exports += 1;
    this.#onTheWay += batch.length;
    this.#exporter.export(batch, ({ code, error }) => {
      this.#exports -= 1;
      this.#onTheWay -= batch.length;
      if (this.#stopped) return;
      if (code === ExportResultCode.SUCCESS) this.#accepted(batch);
      else if (isRefused(error)) this.#refused(batch, error);
      else this.#failed(batch);
      if (this.size === 0) this.#empty();
      else this.#schedule();
    });
  }

  #accepted(batch: ReadableSpan[]): void {
    this.#options.exported(batch.length);
    this.#failing = false;
  }

  #refused(batch: ReadableSpan[], error: Error): void {
    this.#options.dropped(batch.length, `the receiver refused them: ${error.message}`);
  }

  /** The batch goes back to the front: what ended first is exported first. */
  #failed(batch: ReadableSpan[]): void {
    this.#queue.unshift(...batch);
    this.#failing = true;
  }

  #empty(): void {
    this.#flushing = false;
    for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }
}

/** True when the receiver answered that a batch is invalid (400, 413, ...), which no retry changes. */
function isRefused(error: Error | undefined): error is Error & { code: number } {
  return error !== undefined && 'code' in error && typeof error.code === 'number' && error.code >= 400 && error.code < 500;
}
