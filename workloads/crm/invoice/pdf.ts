/** An invoice as a PDF of A4 pages. Equal invoices give equal bytes. */
import PdfKit from 'pdfkit';
import type { DocumentLine, InvoiceDocument } from './document.ts';
import { latinText } from './latin.ts';
import { MARK_ARCS } from './page.ts';

const MM = 72 / 25.4;
const [LEFT, RIGHT, TOP, BOTTOM] = [18 * MM, (210 - 18) * MM, 16 * MM, (297 - 24) * MM];
/** Left edge of the right half. */
const MIDDLE = 108 * MM;
const [INK, SOFT, LINE, BRAND, TINT] = ['#14202e', '#5a6879', '#dbe1e8', '#0b5fa5', '#f1f6fb'];
const NOTICE_COLORS = { Paid: '#1d7a46', Draft: '#8a5a00', Void: '#b3261e' } as const;
/** Right edges of the columns after the description. */
const COLUMNS = { quantity: 128 * MM, unit: 151 * MM, tax: 166 * MM, net: RIGHT } as const;
const DESCRIPTION_WIDTH = 94 * MM;

type Pdf = InstanceType<typeof PdfKit>;
interface TextStyle {
  size?: number;
  color?: string;
  bold?: boolean;
  align?: 'left' | 'right';
  width?: number;
  spacing?: number;
}

/** A cursor that moves down the pages. */
class Sheet {
  readonly pdf: Pdf;
  y = TOP;

  constructor(pdf: Pdf) {
    this.pdf = pdf;
  }

  /** Writes a text at the cursor without moving it. @returns its height */
  text(
    text: string,
    x: number,
    { size = 9.5, color = INK, bold = false, align = 'left', width = RIGHT - x, spacing = 0 }: TextStyle = {},
  ): number {
    const shown = latinText(text);
    const options = { width, align, characterSpacing: spacing };
    this.pdf
      .font(bold ? 'Helvetica-Bold' : 'Helvetica')
      .fontSize(size)
      .fillColor(color)
      .text(shown, x, this.y, options);
    return this.pdf.heightOfString(shown, options);
  }

  /** As {@link text}, with the right edge in place of the left one. */
  right(text: string, edge: number, style: TextStyle = {}): number {
    const width = 60 * MM;
    return this.text(text, edge - width, { ...style, width, align: 'right' });
  }

  rule(from: number, to: number, color: string, weight: number): void {
    this.pdf.moveTo(from, this.y).lineTo(to, this.y).lineWidth(weight).strokeColor(color).stroke();
  }

  down(height: number): void {
    this.y += height;
  }

  /** Begins a new page when less than a height is left. @param heading drawn on top of the new page */
  room(height: number, heading?: () => void): void {
    if (this.y + height <= BOTTOM) return;
    this.pdf.addPage();
    this.y = TOP;
    heading?.();
  }
}

/** The mark of the page, drawn in a square of 44 units. */
function mark(pdf: Pdf, x: number, y: number, size: number): void {
  pdf
    .save()
    .translate(x, y)
    .scale(size / 44);
  pdf.roundedRect(0, 0, 44, 44, 9).fill(BRAND);
  pdf.lineWidth(3.4).lineCap('round').strokeColor('#ffffff');
  for (const arc of MARK_ARCS) pdf.path(arc).stroke();
  pdf.circle(22, 32, 3.2).fill('#ffffff').restore();
}

function header(sheet: Sheet, { issuer, title, number, notice }: InvoiceDocument): void {
  const { pdf } = sheet;
  mark(pdf, LEFT, sheet.y, 11 * MM);
  sheet.right(title, RIGHT, { size: 21, bold: true });
  sheet.down(1.2 * MM);
  sheet.text(issuer.name, LEFT + 14 * MM, { size: 14.5, bold: true });
  sheet.down(6 * MM);
  sheet.text(issuer.address.join(' · '), LEFT + 14 * MM, { size: 8, color: SOFT, width: 90 * MM });
  sheet.down(1.6 * MM);
  if (number !== undefined) sheet.right(number, RIGHT, { size: 11, color: SOFT });
  sheet.down(5 * MM);
  if (notice !== undefined) sheet.right(notice.toUpperCase(), RIGHT, { size: 9, bold: true, color: NOTICE_COLORS[notice], spacing: 0.6 });
  sheet.down(5 * MM);
  sheet.rule(LEFT, RIGHT, BRAND, 2);
  sheet.down(8 * MM);
}

function label(sheet: Sheet, text: string, x: number): void {
  sheet.text(text.toUpperCase(), x, { size: 7.5, bold: true, color: SOFT, spacing: 0.5 });
}

function parties(sheet: Sheet, { customer, facts }: InvoiceDocument): void {
  const top = sheet.y;
  const width = MIDDLE - LEFT - 8 * MM;
  label(sheet, 'Billed to', LEFT);
  sheet.down(5 * MM);
  sheet.down(sheet.text(customer.name, LEFT, { size: 11, bold: true, width }) + 1);
  for (const line of customer.address) sheet.down(sheet.text(line, LEFT, { width }) + 1.5);
  const left = sheet.y;
  sheet.y = top;
  label(sheet, 'Details', MIDDLE);
  sheet.down(5 * MM);
  for (const [name, value] of facts) {
    sheet.text(name, MIDDLE, { color: SOFT });
    // A UUID is longer than the other values.
    sheet.right(value, RIGHT, { size: value.length > 30 ? 7.5 : 9.5 });
    sheet.down(5 * MM);
  }
  sheet.y = Math.max(left, sheet.y) + 6 * MM;
}

function amountDue(sheet: Sheet, { due }: InvoiceDocument): void {
  const { pdf, y } = sheet;
  pdf.rect(LEFT, y, RIGHT - LEFT, 15 * MM).fill(TINT);
  pdf.rect(LEFT, y, 1.2 * MM, 15 * MM).fill(BRAND);
  sheet.y = y + 6 * MM;
  sheet.text(due.label, LEFT + 5 * MM, { size: 10 });
  sheet.y = y + 4.2 * MM;
  sheet.right(due.amount, RIGHT - 5 * MM, { size: 18, bold: true });
  sheet.y = y + 22 * MM;
}

function tableHead(sheet: Sheet): void {
  const style = { size: 7.5, bold: true, color: SOFT };
  sheet.text('Description', LEFT, style);
  sheet.right('Quantity', COLUMNS.quantity, style);
  sheet.right('Price', COLUMNS.unit, style);
  sheet.right('Tax', COLUMNS.tax, style);
  sheet.right('Net amount', COLUMNS.net, style);
  sheet.down(4.2 * MM);
  sheet.rule(LEFT, RIGHT, INK, 0.8);
  sheet.down(2.4 * MM);
}

function row(sheet: Sheet, { description, detail, quantity, unit, tax, net }: DocumentLine): void {
  sheet.room(13 * MM, () => tableHead(sheet));
  sheet.right(quantity, COLUMNS.quantity);
  sheet.right(unit, COLUMNS.unit);
  sheet.right(tax, COLUMNS.tax);
  sheet.right(net, COLUMNS.net);
  sheet.down(sheet.text(description, LEFT, { width: DESCRIPTION_WIDTH }) + 0.5);
  if (detail !== '') sheet.down(sheet.text(detail, LEFT, { size: 8, color: SOFT, width: DESCRIPTION_WIDTH }));
  sheet.down(1.6 * MM);
  sheet.rule(LEFT, RIGHT, LINE, 0.5);
  sheet.down(2 * MM);
}

function charges(sheet: Sheet, { sections }: InvoiceDocument): void {
  if (sections.length === 0) {
    sheet.text('No charges have been generated for this period.', LEFT, { color: SOFT });
    sheet.down(8 * MM);
    return;
  }
  tableHead(sheet);
  for (const { title, lines, net } of sections) {
    sheet.room(22 * MM, () => tableHead(sheet));
    sheet.down(1.5 * MM);
    sheet.text(title, LEFT, { bold: true });
    sheet.right(net, RIGHT, { color: SOFT });
    sheet.down(6.5 * MM);
    for (const line of lines) row(sheet, line);
  }
}

function sums(sheet: Sheet, { taxes, net, total, paid, due }: InvoiceDocument): void {
  const rows: [string, string][] = [['Net amount', net], ...taxes.map(({ rate, tax }): [string, string] => [`Tax ${rate}`, tax])];
  sheet.room((rows.length * 5 + 30) * MM);
  sheet.down(4 * MM);
  for (const [name, amount] of rows) {
    sheet.text(name, MIDDLE, { color: SOFT });
    sheet.right(amount, RIGHT);
    sheet.down(5 * MM);
  }
  sheet.rule(MIDDLE, RIGHT, INK, 0.8);
  sheet.down(2.4 * MM);
  const strong = { size: 12.5, bold: true };
  sheet.text('Total', MIDDLE, strong);
  sheet.right(total, RIGHT, strong);
  sheet.down(6.5 * MM);
  if (paid === undefined) return;
  sheet.text('Paid', MIDDLE, { color: SOFT });
  sheet.right(paid, RIGHT);
  sheet.down(5.5 * MM);
  sheet.text('Amount due', MIDDLE, { ...strong, color: BRAND });
  sheet.right(due.amount, RIGHT, { ...strong, color: BRAND });
  sheet.down(6.5 * MM);
}

function footer(sheet: Sheet, { issuer, payment }: InvoiceDocument): void {
  const own = [...issuer.address, `Tax number: ${issuer.taxId}`];
  const height = (Math.max(payment.length, own.length) * 4 + 12) * MM;
  sheet.room(height + 8 * MM);
  sheet.y = Math.max(sheet.y, BOTTOM - height);
  sheet.rule(LEFT, RIGHT, LINE, 0.5);
  sheet.down(5 * MM);
  const top = sheet.y;
  const column = (title: string, lines: readonly string[], x: number, width: number): void => {
    sheet.y = top;
    label(sheet, title, x);
    sheet.down(4.5 * MM);
    for (const line of lines) sheet.down(sheet.text(line, x, { size: 8, color: SOFT, width }) + 1);
  };
  column('Payment', payment, LEFT, MIDDLE - LEFT - 8 * MM);
  column(issuer.name, own, MIDDLE, RIGHT - MIDDLE);
}

function watermark({ pdf }: Sheet, text: string): void {
  pdf.save().rotate(-24, { origin: [105 * MM, 140 * MM] });
  pdf.font('Helvetica-Bold').fontSize(92).fillColor(NOTICE_COLORS.Void, 0.08);
  pdf
    .text(text.toUpperCase(), 0, 124 * MM, { width: 210 * MM, align: 'center' })
    .fillOpacity(1)
    .restore();
}

/** On every page, once their number is known. */
function numberPages({ pdf }: Sheet, { title, number, notice }: InvoiceDocument): void {
  const { count } = pdf.bufferedPageRange();
  for (let page = 0; page < count; page++) {
    pdf.switchToPage(page);
    // Text below the margin would begin a new page.
    pdf.page.margins.bottom = 0;
    const name = number === undefined ? title : `${title} ${number}`;
    const text = latinText(`${name} · page ${page + 1} of ${count}`);
    pdf.font('Helvetica').fontSize(7.5).fillColor(SOFT);
    pdf.text(text, LEFT, 284 * MM, { width: RIGHT - LEFT, align: 'center' });
    if (notice === 'Draft' || notice === 'Void') watermark({ pdf } as Sheet, notice);
  }
}

/** @returns the bytes of the file */
export async function pdfOf(invoice: InvoiceDocument): Promise<Buffer> {
  const { title, number, issuer, language, date } = invoice;
  const at = new Date(`${date}T00:00:00Z`);
  const info = { Title: latinText(number === undefined ? title : `${title} ${number}`), Author: latinText(issuer.name), CreationDate: at };
  const pdf = new PdfKit({ size: 'A4', margin: 0, bufferPages: true, lang: language, displayTitle: true, info });
  const chunks: Buffer[] = [];
  pdf.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<void>((resolve, reject) => {
    pdf.on('end', resolve);
    pdf.on('error', reject);
  });
  const sheet = new Sheet(pdf);
  header(sheet, invoice);
  parties(sheet, invoice);
  amountDue(sheet, invoice);
  charges(sheet, invoice);
  sums(sheet, invoice);
  footer(sheet, invoice);
  numberPages(sheet, invoice);
  pdf.end();
  await ended;
  return Buffer.concat(chunks);
}
