/** Times of statements, those inside triggers too, as the server's own extension pg_stat_statements counts them. */
import { setTimeout as pause } from 'node:timers/promises';
import type { TestPlatform } from './platform.ts';
import { waitFor } from './wait.ts';

/** A statement of the interest consumer. Milliseconds, and planning apart. */
export interface StatementTime {
  readonly text: string;
  /** False: of a trigger. */
  readonly topLevel: boolean;
  readonly calls: number;
  readonly planMs: number;
  /** That of a statement includes its triggers. */
  readonly executionMs: number;
}

/** Loads the extension, which needs a restart of the server. */
export async function countStatementTimes(platform: TestPlatform): Promise<void> {
  const settings = {
    shared_preload_libraries: 'pg_stat_statements',
    'pg_stat_statements.track': 'all',
    'pg_stat_statements.track_planning': 'on',
  };
  for (const [name, value] of Object.entries(settings)) await platform.sql(`ALTER SYSTEM SET ${name} = '${value}'`);
  await platform.services.postgres.restart();
  await waitFor('the connections to the restarted server', async () => {
    await platform.sql('CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
    return true;
  });
  // PgBouncer waits before it connects again after a failed login.
  await pause(100);
}

/** Starts the counts at zero. */
export async function resetStatementTimes(platform: TestPlatform): Promise<void> {
  await platform.sql('SELECT pg_stat_statements_reset()');
}

/** The statements of the consumer's role since the reset, the slowest first. */
export async function statementTimes(platform: TestPlatform): Promise<StatementTime[]> {
  return platform.sql<StatementTime>(
    `SELECT trim(regexp_replace(query, '\\s+', ' ', 'g')) AS text, toplevel AS "topLevel", calls::int, total_plan_time AS "planMs",
            total_exec_time AS "executionMs"
       FROM pg_stat_statements s
      WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (NOT toplevel OR userid = (SELECT oid FROM pg_roles WHERE rolname = 'interest'))
      ORDER BY total_exec_time DESC`,
  );
}
