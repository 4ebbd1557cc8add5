/** Text for people: colours where they are wanted, tables, never a secret. */
import { createHash } from 'node:crypto';
import { styleText } from 'node:util';
import type { KubernetesObject } from '../runtime/index.ts';

export type Style = 'green' | 'red' | 'yellow' | 'dim' | 'bold' | 'cyan';
/** Colours a text, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string;

/** @param coloured whether the output goes to a terminal that shows colours */
export function painter(coloured: boolean): Paint {
  return coloured ? (style, text) => styleText(style, text, { validateStream: false }) : (_style, text) => text;
}

/** Rows as columns of equal width, the last one ragged. */
export function columns(rows: string[][]): string[] {
  const widths = rows[0]?.map((_cell, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/** A Secret with the hashes of its values in their place; every other object as it is. Equal values have equal hashes, so a change still shows. */
export function withoutSecrets(object: KubernetesObject): KubernetesObject {
  if (object.kind !== 'Secret') return object;
  return { ...object, ...hidden(object, 'data'), ...hidden(object, 'stringData') };
}

function hidden(object: KubernetesObject, field: string): Record<string, unknown> {
  const values = object[field];
  if (typeof values !== 'object' || values === null) return {};
  return { [field]: Object.fromEntries(Object.entries(values).map(([key, value]) => [key, mask(String(value))])) };
}

function mask(value: string): string {
  return `*** (sha256 ${createHash('sha256').update(value).digest('hex').slice(0, 8)})`;
}

/** Plural by a plain s. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
