/** Log lines of the workloads by trace, from Loki or from `kubectl logs`. Pure. */
import { z } from 'zod';
import { shortened } from './trace.ts';

export interface LogLine {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly service: string;
  readonly level: string;
  readonly message: string;
}

/** A record as the workloads write it. */
const record = z.object({
  time: z.string(),
  service: z.string(),
  level: z.string(),
  message: z.string(),
  trace_id: z.string().optional(),
  code: z.string().optional(),
  error: z.object({ message: z.string().optional() }).optional(),
});

const streams = z.object({
  data: z.object({
    result: z.array(
      z.object({ stream: z.record(z.string(), z.string()), values: z.array(z.tuple([z.string(), z.string()]).rest(z.unknown())) }),
    ),
  }),
});

/** The lines of one trace in the output of `kubectl logs`, in order of time. Lines that are no record are left out. */
export function linesOfTrace(text: string, traceId: string): LogLine[] {
  const lines = text.split('\n').flatMap((line) => {
    const parsed = recordOf(line);
    return parsed?.trace_id === traceId ? [lineOf(parsed)] : [];
  });
  return inOrder(lines);
}

/**
 * The lines in an answer of Loki's `/loki/api/v1/query_range`, in order of time.
 * @throws ZodError when the body is no result of streams
 */
export function linesOfLoki(json: unknown): LogLine[] {
  const { data } = streams.parse(json);
  const lines = data.result.flatMap(({ stream, values }) =>
    values.map(([nanoseconds, text]): LogLine => {
      const parsed = recordOf(text);
      if (parsed !== undefined) return lineOf(parsed);
      const { service_name: service = 'unknown', level = stream['detected_level'] ?? 'info' } = stream;
      return { at: Number(BigInt(nanoseconds) / 1_000_000n), service, level, message: text };
    }),
  );
  return inOrder(lines);
}

function recordOf(line: string): z.output<typeof record> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return record.safeParse(JSON.parse(line)).data;
  } catch {
    // A line that was cut off.
    return undefined;
  }
}

function lineOf({ time, service, level, message, code, error }: z.output<typeof record>): LogLine {
  const details = [code, error?.message].filter((detail) => detail !== undefined);
  return { at: Date.parse(time), service, level, message: [message, ...details].join('; ') };
}

const inOrder = (lines: readonly LogLine[]): LogLine[] => lines.toSorted((a, b) => a.at - b.at);

const MESSAGE_WIDTH = 110;

/** One line of text for each: time of day (UTC), service, level, message. */
export function formatLog(lines: readonly LogLine[]): string[] {
  return lines.map(({ at, service, level, message }) => {
    const time = new Date(at).toISOString().slice(11, 23);
    return `${time}  ${service.padEnd(8)} ${level.padEnd(5)} ${shortened(message, MESSAGE_WIDTH)}`;
  });
}
