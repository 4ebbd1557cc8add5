/** Requests that `smoke` sends: one or more for each operation of the gateway. */

export interface Sample {
  /** With query. */
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
  /** Codes of problems that are as right as the status: the operation is switched off on this platform, or follows one that is. */
  readonly unless?: readonly string[];
  /** Keeps id and ETag of the resource in the answer under this name. */
  readonly keep?: string;
}

/** What earlier answers have made, by the names under which they are kept. */
export class Made {
  readonly #ids = new Map<string, string>();
  readonly #etags = new Map<string, string>();

  keep(name: string, id: string, etag: string): void {
    this.#ids.set(name, id);
    this.#etags.set(name, etag);
  }

  id(name: string): string {
    return this.#ids.get(name) ?? 'not-made';
  }

  /** The header of a change that is based on the last answer. */
  version(name: string): Record<string, string> {
    return { 'if-match': this.#etags.get(name) ?? '"0"' };
  }
}

/** A request for an operation, which is named `METHOD path` as in the OpenAPI document. */
export type Step = readonly [operation: string, sample: (made: Made) => Sample];
