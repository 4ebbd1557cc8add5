/** Result of one check of `bss doctor`. */
export interface Finding {
  ok: boolean;
  /** Not ok only because an earlier component is not. */
  waits?: boolean;
  /** Worth knowing, and no problem. */
  note?: boolean;
  what: string;
  /** What to do; set when not ok, and for a note. */
  remedy?: string;
}

export function good(what: string): Finding {
  return { ok: true, what };
}

export function bad(what: string, remedy: string): Finding {
  return { ok: false, what, remedy };
}

export function note(what: string, remedy: string): Finding {
  return { ok: true, note: true, what, remedy };
}
