/** A reporter of node's test runner that writes one line of JSON for each event that the runner of this project counts. */
import type { EventData } from 'node:test';
import type { TestEvent } from 'node:test/reporters';

export interface ReportLine {
  readonly type: 'start' | 'pass' | 'fail';
  readonly name: string;
  readonly nesting: number;
  /** A `describe` or a test that holds other tests. */
  readonly suite: boolean;
  /** Set for a test that was skipped or is to do: the reason, or an empty string. */
  readonly skipped?: string;
  /** Of a failure: what its error says first. */
  readonly error?: string;
}

/** Longer messages are in the output of the file. */
const MAX_ERROR_LENGTH = 300;

/** @param source the events of one test file, in the order in which they happen */
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    const line = lineOf(event);
    if (line !== undefined) yield `${JSON.stringify(line)}\n`;
  }
}

function lineOf(event: TestEvent): ReportLine | undefined {
  if (event.type === 'test:dequeue')
    return { type: 'start', name: event.data.name, nesting: event.data.nesting, suite: event.data.type === 'suite' };
  if (event.type === 'test:pass') return ended('pass', event.data);
  return event.type === 'test:fail' ? ended('fail', event.data) : undefined;
}

function ended(type: 'pass' | 'fail', data: EventData.TestPass | EventData.TestFail): ReportLine {
  const { name, nesting, details, skip, todo } = data;
  const why = skip ?? todo;
  const skipped = why === undefined || why === false ? {} : { skipped: typeof why === 'string' ? why : '' };
  const error = 'error' in details ? { error: firstWords(details.error) } : {};
  return { type, name, nesting, suite: details.type === 'suite', ...skipped, ...error };
}

/** On one line: values that differ stand below the first one. What the test threw is the cause of the runner's own error. */
function firstWords(error: unknown): string {
  const thrown = error instanceof Error ? (error.cause ?? error) : error;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.trim().replaceAll(/\s+/g, ' ').slice(0, MAX_ERROR_LENGTH);
}
