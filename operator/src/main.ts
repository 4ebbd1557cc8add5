/** The operator's process. */
import process from 'node:process';
import { EXIT_CONFIG, readConfig } from './config.ts';
import { runOperator } from './operator.ts';
import { createLogger, loadKubeConfig, Shutdown } from './runtime/index.ts';

const read = readConfig(process.env);
if ('problems' in read) {
  console.error(`The operator's environment is wrong:\n${read.problems.map((problem) => `  ${problem}`).join('\n')}`);
  process.exit(EXIT_CONFIG);
}
const logger = createLogger({ level: read.config.logLevel, name: 'bss-operator' });
// Node's own way of warning is text among lines of JSON. kafkajs alone causes many, by timers that it sets into the past.
process.removeAllListeners('warning');
process.on('warning', ({ name, message }) => logger.debug({ name }, message));
const shutdown = new Shutdown({ logger });
shutdown.listen();
try {
  await runOperator(read.config, loadKubeConfig(), logger, shutdown);
} catch (error) {
  // The shutdown that was asked for while the operator was starting is no failure.
  if (!shutdown.started) {
    logger.fatal({ error }, 'the operator cannot run');
    await shutdown.begin('it cannot run', 1);
  }
}
