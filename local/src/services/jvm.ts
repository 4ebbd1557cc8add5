import process from 'node:process';

/**
 * Variable by which the test runner says that servers live for a minute: the JVM then compiles fast instead of well, and Kafka starts with less
 * processor time. Without it, Kafka is as fast as on a cluster: benchmarks run without it.
 */
export const BRIEF_SERVERS = 'BSS_BRIEF_SERVERS';

/** Options of the JVM of a Kafka for tests. */
export function jvmFlags(): string[] {
  const compiler = process.env[BRIEF_SERVERS] === undefined ? [] : ['-XX:TieredStopAtLevel=1'];
  return ['-Xmx512m', '-XX:+UseSerialGC', ...compiler, '-XX:-UsePerfData'];
}
