/** The stream of a watch: one JSON event per line. */
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { KubeError, refusal, unanswered } from './errors.ts';
import type { Status } from './errors.ts';
import type { KubernetesObject } from '../objects/object.ts';

export interface WatchEvent<T> {
  /** BOOKMARK carries only `metadata.resourceVersion`: everything before it has been sent. */
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  object: T;
}

/**
 * Reads events until the stream ends. A line that is not JSON and an ERROR event end the watch with an error.
 * @throws KubeError
 */
export async function* watchEvents<T extends KubernetesObject>(
  body: Readable,
  attempt: string,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent<T>> {
  try {
    for await (const line of lines(body)) {
      const event: RawEvent<T> = JSON.parse(line);
      yield checked(event, attempt);
    }
  } catch (error) {
    if (error instanceof KubeError) throw error;
    throw unanswered(attempt, signal.aborted ? 'Aborted' : 'ConnectionFailed', error);
  } finally {
    body.destroy();
  }
}

/** Complete lines. Text after the last line break was cut off; the next watch sends it again. */
async function* lines(body: Readable): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let text = '';
  for await (const chunk of body as AsyncIterable<Buffer>) {
    text += decoder.write(chunk);
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      if (end > start) yield text.slice(start, end);
      start = end + 1;
    }
    text = text.slice(start);
  }
}

type RawEvent<T> = WatchEvent<T> | { type: 'ERROR'; object: Status };

function checked<T>(event: RawEvent<T>, attempt: string): WatchEvent<T> {
  if (event.type === 'ERROR') throw refusal(attempt, event.object.code ?? 500, event.object);
  return event;
}
