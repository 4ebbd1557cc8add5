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
}

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
  return { type, name, nesting, suite: details.type === 'suite', ...skipped };
}
