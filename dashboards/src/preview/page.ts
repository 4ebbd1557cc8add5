/** A dashboard as one SVG in its own layout. */
import type { DashboardFile, Selection } from '../testing/expressions.ts';
import { NOTHING, type Data, type Range } from './data.ts';
import { drawPanel } from './draw.ts';
import { boxOf, PAGE_WIDTH, pageHeight } from './layout.ts';
import type { PreviewPanel } from './panel.ts';
import { COLORS, cut, rectangle, text } from './svg.ts';

/** Data of a panel, or why there is none. */
export type Answer = { readonly data: Data } | { readonly problem: string };

export const NOTE = "Preview drawn from the dashboard's own queries; not Grafana";

const minute = (seconds: number) => new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ');

/** @param answers one for each panel */
export function page(
  board: DashboardFile<PreviewPanel>,
  answers: readonly Answer[],
  { namespace, platform }: Selection,
  range: Range,
): string {
  const height = pageHeight(board.panels.map(({ gridPos }) => gridPos));
  const span = `${minute(range.start)} to ${minute(range.end).slice(11)} UTC`;
  const header = [
    rectangle({ x: 0, y: 0, width: PAGE_WIDTH, height }, COLORS.page),
    text(16, 32, board.title, { size: 22, weight: 600 }),
    text(16, 56, cut(board.description, PAGE_WIDTH * 0.65, 13), { size: 13, color: COLORS.faint }),
    text(PAGE_WIDTH - 16, 32, NOTE, { size: 13, color: COLORS.red, anchor: 'end', weight: 600 }),
    text(PAGE_WIDTH - 16, 56, `platform ${platform}, namespace ${namespace}, ${span}`, { size: 12, color: COLORS.faint, anchor: 'end' }),
  ];
  const panels = board.panels.map((panel, index) => {
    const answer = answers[index] ?? { data: NOTHING };
    const box = boxOf(panel.gridPos);
    return 'data' in answer ? drawPanel(box, panel, answer.data, range) : drawPanel(box, panel, NOTHING, range, answer.problem);
  });
  const size = `width="${PAGE_WIDTH}" height="${height}" viewBox="0 0 ${PAGE_WIDTH} ${height}"`;
  const font = 'font-family="DejaVu Sans, Helvetica, Arial, sans-serif"';
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${font}>\n${[...header, ...panels].join('\n')}\n</svg>\n`;
}
