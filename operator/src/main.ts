/** The operator's process. */
import process from 'node:process';
import { EXIT_CONFIG, readConfig } from './config.ts';
import { runOperator } from './operator.ts';
import { createLogger, loadKubeConfig, Shutdown } from './runtime/index.ts';

const read = readConfig(process.env);
if ('problems' in read) {
  console.error(`The operator's environment variables are not valid:\n${read.problems.map((problem) => `  ${problem}`).join('\n')}`);
  process.exit(EXIT_CONFIG);
}
const logger = createLogger({ level: read.config.logLevel, name: 'bss-operator' });
// Node prints warnings as plain text between lines of JSON. kafkajs causes many of them with negative timeouts.
process.removeAllListeners('warning');
process.on('warning', ({ name, message }) => logger.debug({ name }, message));
const shutdown = new Shutdown({ logger });
shutdown.listen();
try {
  await runOperator(read.config, loadKubeConfig(), logger, shutdown);
} catch (error) {
  // A shutdown that was requested during startup is not a failure.
  if (!shutdown.started) {
    logger.fatal({ error }, 'the operator cannot start');
    await shutdown.begin('the operator cannot start', 1);
  }
}
