/** Where the panels of a dashboard stand on a page, in pixels: Grafana's grid of 24 columns. */

export interface GridPos {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const COLUMNS = 24;
/** Height of a line of the grid, with the gap below it. */
const LINE = 38;
const GAP = 8;
/** Around the page. */
const MARGIN = 16;
/** Title, description and selection. */
const HEADER = 84;

export const PAGE_WIDTH = 1600;

/** @returns the box of a panel, below the page's header */
export function boxOf({ x, y, w, h }: GridPos): Box {
  const column = (PAGE_WIDTH - 2 * MARGIN + GAP) / COLUMNS;
  return { x: MARGIN + x * column, y: HEADER + y * LINE, width: w * column - GAP, height: h * LINE - GAP };
}

/** @returns the height of the page that holds all panels */
export function pageHeight(places: readonly GridPos[]): number {
  return HEADER + Math.max(0, ...places.map(({ y, h }) => y + h)) * LINE + MARGIN;
}

/** The part of a box that is left below a title. */
export function below(box: Box, title: number): Box {
  return { ...box, y: box.y + title, height: box.height - title };
}
