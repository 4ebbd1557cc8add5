/**
 * The model beside a measured run: KEDA 2.21 and the HorizontalPodAutoscaler of Kubernetes 1.36.3 on two cores, one topic of 12 partitions,
 * consumers of exactly 200 messages a second. Four settings ran at the same time on the load `MEASURED_STEP`.
 */
import { kedaScaler } from './keda.ts';
import type { KedaSettings } from './keda.ts';
import { meanOf, run } from './run.ts';
import type { Result } from './run.ts';
import { MEASURED_STEP } from './traces.ts';

/** What was measured with one setting. */
export interface Measured {
  settings: KedaSettings;
  lagIntegral: number;
  worstLag: number;
  worstDelay: number;
  podSeconds: number;
  scaleActions: number;
  /** Seconds from the step to the first scale-up: tells the phase of the HPA's cycle. */
  firstScaleUp: number;
}

export const MEASURED: readonly Measured[] = [
  measured({ threshold: 100, window: 300 }, 1_581_317, 28_772, 23.4, 4462, 5, 8),
  measured({ threshold: 500, window: 300 }, 1_811_154, 32_574, 25.4, 4395, 4, 9),
  measured({ threshold: 2000, window: 300 }, 1_836_233, 33_114, 25.3, 4211, 6, 9),
  measured({ threshold: 500, window: 60 }, 1_595_398, 30_194, 26, 2389, 7, 9),
];

const SYNC_SECONDS = 15;
const STEP_SECOND = 60;
const SEEDS = 12;

/** The model's figures for the same setting in the same phase, averaged over seeds. */
export function simulateMeasured({ settings, firstScaleUp }: Measured): Result {
  // The first second of the higher load is STEP_SECOND itself.
  const phase = (STEP_SECOND - 1 + firstScaleUp) % SYNC_SECONDS;
  const seeds = Array.from({ length: SEEDS }, (_, index) => index + 1);
  return meanOf(seeds.map((seed) => run(MEASURED_STEP, kedaScaler(settings, MEASURED_STEP, phase), seed)));
}

function measured(
  settings: KedaSettings,
  lagIntegral: number,
  worstLag: number,
  worstDelay: number,
  podSeconds: number,
  scaleActions: number,
  firstScaleUp: number,
): Measured {
  return { settings, lagIntegral, worstLag, worstDelay, podSeconds, scaleActions, firstScaleUp };
}
