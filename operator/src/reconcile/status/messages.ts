/** Messages of conditions. */

interface Told {
  status: string;
  reason: string;
  message: string;
}

function shape(text: string): string {
  return text.replaceAll(/\d+([.,]\d+)*/g, '#');
}

/** Keeps the old message when only its numbers differ: they change with every sample. */
export function withoutNewFigures<T extends Told>(finding: T, old: Told | undefined): T {
  const same = old?.status === finding.status && old.reason === finding.reason && shape(old.message) === shape(finding.message);
  return same ? { ...finding, message: old.message } : finding;
}
