import type { PostgresService } from '../../../local/src/services/index.ts';
import { waitFor } from './wait.ts';

/**
 * Ends a full disk of Postgres. The server may have ended, as after a WAL record that it could not write: it is started again, as the kubelet would.
 * @param query any statement, which the server answers when it is up
 */
export async function freeDisk(postgres: PostgresService, query: () => Promise<unknown>): Promise<void> {
  await postgres.disk?.free();
  await waitFor('Postgres to accept connections', async () => {
    if (!postgres.running) await postgres.start();
    await query();
    return true;
  });
}
