/** The words of the demo's incident. Pure. */
/** An alert as Prometheus' `/api/v1/alerts` returns it. */
export interface FiringAlert {
  readonly state: 'pending' | 'firing';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** When its condition became true, RFC 3339. */
  readonly activeAt: string;
}

/** What became of an incident. */
export interface Incident {
  readonly alert: string;
  /** From the fault to the alert. */
  readonly firedSeconds: number;
  /** From the repair to the end of the alert. */
  readonly resolvedSeconds: number;
  /** Spans of the affected request; undefined where the platform keeps no traces. */
  readonly trace: number | undefined;
  /** Log lines of the affected request. */
  readonly logs: number;
}

/** @param divisor of the durations of the alerts */
export function fault(divisor: number): string {
  return `Postgres is stopped, with the operator paused (the durations of the alerts are divided by ${divisor} here)`;
}

/** What a person on call reads of an alert. */
export function alertLines({ labels, annotations, activeAt }: FiringAlert): string[] {
  return [
    `severity  ${labels['severity'] ?? 'none'}, team ${labels['team'] ?? 'none'}`,
    `since     ${activeAt.slice(0, 19)}Z`,
    `summary   ${annotations['summary'] ?? ''}`,
    `          ${annotations['description'] ?? ''}`,
    `runbook   ${annotations['runbook_url'] ?? ''}`,
  ];
}
