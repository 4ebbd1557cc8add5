/**
 * Consumers whose rate hardly depends on the machine: each transaction of the journal takes time that costs no processor. A replica writes two batches
 * at a time when more than one batch waits.
 */

export interface SlowJournal {
  /** Milliseconds of one transaction: a replica does less than 1,000 divided by it a second with one batch at a time, and twice that with two. */
  readonly milliseconds?: number;
  /** The writers take turns, as they would at a limit that all of them share. */
  readonly shared?: boolean;
}

/** Statements of the owner of the ledger database. */
export function slowJournal({ milliseconds = 1, shared = false }: SlowJournal = {}): string {
  return `
CREATE OR REPLACE FUNCTION slow_down() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  ${shared ? 'PERFORM pg_advisory_xact_lock(42);' : ''}
  PERFORM pg_sleep((SELECT count(*) FROM inserted) * ${milliseconds / 1000});
  RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER slow_down AFTER INSERT ON journal_transaction
  REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION slow_down();`;
}

export const FAST_JOURNAL = 'DROP TRIGGER IF EXISTS slow_down ON journal_transaction; DROP FUNCTION IF EXISTS slow_down();';
