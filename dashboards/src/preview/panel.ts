/** A panel of a dashboard's JSON, as a preview reads it. */
import type { BoardPanel } from '../testing/expressions.ts';
import type { PreviewTarget } from './data.ts';
import type { GridPos } from './layout.ts';
import { COLORS } from './svg.ts';

export interface Threshold {
  /** Null: from below. */
  readonly value: number | null;
  readonly color: string;
}

export interface PreviewPanel extends BoardPanel {
  readonly gridPos: GridPos;
  readonly targets?: readonly PreviewTarget[];
  readonly transformations?: readonly { readonly options: { readonly excludeByName?: Readonly<Record<string, boolean>> } }[];
  readonly fieldConfig?: {
    readonly defaults: {
      readonly unit?: string;
      readonly min?: number;
      readonly max?: number;
      readonly thresholds?: { readonly steps: readonly Threshold[] };
      readonly custom?: { readonly drawStyle?: string; readonly thresholdsStyle?: { readonly mode: string } };
    };
  };
}

export function unitOf({ fieldConfig }: PreviewPanel): string {
  return fieldConfig?.defaults.unit ?? 'short';
}

export function thresholdsOf({ fieldConfig }: PreviewPanel): readonly Threshold[] {
  return fieldConfig?.defaults.thresholds?.steps ?? [];
}

/** Grafana's names of colours, on a white page. */
export function paint(color: string): string {
  return color === 'green' || color === 'yellow' || color === 'red' ? COLORS[color] : color;
}

/** The colour of a value. */
export function thresholdColor(value: number, steps: readonly Threshold[]): string {
  const step = steps.findLast((one) => one.value === null || value >= one.value);
  return step === undefined ? COLORS.text : paint(step.color);
}
