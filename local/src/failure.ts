/** An error that a user can act on: what failed, the relevant log lines, the next command to try. */

export interface FailureDetails {
  /** Lines of a log that show the cause, oldest first. */
  readonly log?: readonly string[];
  /** Where the whole log is. */
  readonly logFile?: string;
  /** Commands or actions to try, most promising first. */
  readonly tryNext?: readonly string[];
  readonly cause?: unknown;
}

export class Failure extends Error {
  readonly log: readonly string[];
  readonly logFile: string | undefined;
  readonly tryNext: readonly string[];

  constructor(message: string, details: FailureDetails = {}) {
    super(message, { cause: details.cause });
    this.name = 'Failure';
    this.log = details.log ?? [];
    this.logFile = details.logFile;
    this.tryNext = details.tryNext ?? [];
  }
}

/** The text to show to a person for any thrown value; several lines for a Failure. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error instanceof Failure)) return error.message;
  const lines = [error.message];
  if (error.log.length > 0) lines.push('', ...error.log.map((line) => `  | ${line}`));
  if (error.logFile !== undefined) lines.push('', `The whole log: ${error.logFile}`);
  if (error.tryNext.length > 0) lines.push('', 'Next steps:', ...error.tryNext.map((hint) => `  ${hint}`));
  return lines.join('\n');
}

const TELLING = /\b(error|fatal|panic|fail(ed|ure)?|cannot|unable|denied|refused|no such|not found|invalid)\b|^[EF]\d{4} /i;

/**
 * The lines of a log that most likely contain the cause of a failure: the last ones about an error, else the last ones.
 * @param limit most lines to return
 */
export function tellingLines(log: string, limit = 12): string[] {
  const lines = log.split('\n').filter((line) => line.trim() !== '');
  const telling = lines.filter((line) => TELLING.test(line));
  return (telling.length > 0 ? telling : lines).slice(-limit).map((line) => (line.length > 400 ? `${line.slice(0, 400)} …` : line));
}
