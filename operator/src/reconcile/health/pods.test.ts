/** The message about a crash, from the end of the log: the same for each crash with the same cause. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { podTrouble } from './pods.ts';

const rows: { name: string; message: string; expected: string }[] = [
  {
    name: 'a workload that cannot start',
    message:
      '{"level":"info","time":"2026-11-20T10:00:00.000Z","message":"starting"}\n' +
      '{"level":"fatal","time":"2026-11-20T10:00:01.000Z","error":{"type":"Error","message":"connect ECONNREFUSED 10.0.0.1:6432","stack":"Error: connect\\n    at x"},"message":"start failed"}\n',
    expected: 'start failed: connect ECONNREFUSED 10.0.0.1:6432',
  },
  {
    name: 'a line of which the kubelet kept the end alone',
    message: 'ck":"Error: no\\n    at y"},"message":"uncaught exception \\"x\\""}\n',
    expected: 'uncaught exception "x"',
  },
  {
    name: 'PostgreSQL',
    message: '2026-11-20 10:00:00.123 UTC [42] FATAL:  could not write lock file "postmaster.pid": No space left on device\n',
    expected: 'FATAL: could not write lock file "postmaster.pid": No space left on device',
  },
  {
    name: 'Kafka, with a stack below its words',
    message:
      '2026-11-20 10:00:00,123 ERROR Kafka$ Exiting Kafka due to fatal exception\n\tat kafka.Kafka$.main(Kafka.scala:1)\n\tat kafka.Kafka.main(Kafka.scala)\n',
    expected: 'ERROR Kafka$ Exiting Kafka due to fatal exception',
  },
  {
    name: 'Node without a handler',
    message: 'node:internal/modules\n  throw error;\n\nError: Cannot find module x\n    at y {\n}\n\nNode.js v26.10.0\n',
    expected: 'Error: Cannot find module x',
  },
  { name: 'plain words', message: 'starting\nKAFKA_BROKERS: required\n', expected: 'KAFKA_BROKERS: required' },
];

for (const { name, message, expected } of rows) {
  void test(`reports a crash: ${name}`, () => {
    const lastState = { terminated: { exitCode: 1, reason: 'Error', message } };
    const status = { containerStatuses: [{ name: 'x', ready: false, restartCount: 3, lastState, state: { waiting: {} } }] };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'n' }, status };
    assert.equal(podTrouble(pod, 0)?.message, `container x crashes with exit code 1: ${expected}`);
  });
}
