import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MEASURED, simulateMeasured } from './calibration.ts';

describe('calibration', () => {
  for (const measured of MEASURED) {
    const { threshold, window } = measured.settings;
    it(`reproduces the measured run of KEDA with threshold ${threshold} and window ${window} s`, () => {
      const simulated = simulateMeasured(measured);
      const error = Math.abs(simulated.lagIntegral / measured.lagIntegral - 1);
      assert.ok(error < 0.15, `the lag integral is off by ${(100 * error).toFixed(1)} %`);
    });
  }
});
