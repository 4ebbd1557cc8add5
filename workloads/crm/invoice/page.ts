/** An invoice as a page: for the screen, and for A4 paper. It needs nothing but itself: no script, no font, no image from elsewhere. Pure. */
import type { DocumentLine, InvoiceDocument } from './document.ts';
import { html, Markup } from './html.ts';

/** The page permits itself its style and nothing else, whatever a text in it may contain. */
export const PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'cache-control': 'private, no-store',
} as const;

const STYLE = `
@page { size: A4; margin: 14mm 16mm 16mm; }
:root { --ink: #14202e; --soft: #5a6879; --line: #dbe1e8; --brand: #0b5fa5; --tint: #f1f6fb; }
* { box-sizing: border-box; }
html { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
body { margin: 0; background: #e7ebf0; color: var(--ink); font: 10pt/1.45 "Helvetica Neue", Helvetica, "Liberation Sans", Arial, sans-serif; }
main { position: relative; width: 210mm; min-height: 297mm; margin: 8mm auto; padding: 16mm 18mm 14mm; background: #fff; box-shadow: 0 1px 6px #0003; display: flex; flex-direction: column; }
header { display: flex; justify-content: space-between; align-items: flex-start; padding-bottom: 6mm; border-bottom: 0.7mm solid var(--brand); }
.brand { display: flex; align-items: center; gap: 3mm; }
.brand svg { display: block; width: 11mm; height: 11mm; flex: none; }
.brand strong { display: block; font-size: 15pt; line-height: 1.2; letter-spacing: -0.01em; }
.brand span, .soft { color: var(--soft); font-size: 8.5pt; }
h1 { margin: 0; font-size: 21pt; line-height: 1.1; font-weight: 600; letter-spacing: -0.01em; text-align: right; }
.notice { display: inline-block; margin-top: 2mm; padding: 0.6mm 3mm; border: 0.4mm solid currentColor; border-radius: 1.2mm; font-size: 9pt; font-weight: 700; letter-spacing: 0.08em; text-transform: uppercase; }
.notice.paid { color: #1d7a46; } .notice.draft { color: #8a5a00; } .notice.void { color: #b3261e; }
.heading { flex: none; text-align: right; } .number { margin-top: 0.5mm; color: var(--soft); font-size: 11pt; font-variant-numeric: tabular-nums; }
.parties { display: grid; grid-template-columns: 1fr 84mm; gap: 10mm; margin: 8mm 0 7mm; }
h2 { margin: 0 0 1.5mm; color: var(--soft); font-size: 8pt; font-weight: 600; letter-spacing: 0.07em; text-transform: uppercase; }
address { font-style: normal; overflow-wrap: anywhere; }
address strong { display: block; font-size: 11pt; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 0.7mm 5mm; margin: 0; }
dt { color: var(--soft); white-space: nowrap; } dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.id { font-size: 6.8pt; line-height: 14.5pt; white-space: nowrap; }
.due { display: flex; justify-content: space-between; align-items: baseline; margin-bottom: 7mm; padding: 4mm 5mm; background: var(--tint); border-left: 1.2mm solid var(--brand); }
.due strong { font-size: 18pt; font-variant-numeric: tabular-nums; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { padding: 0 0 1.5mm; white-space: nowrap; vertical-align: bottom; border-bottom: 0.3mm solid var(--ink); color: var(--soft); font-size: 8pt; font-weight: 600; text-align: right; letter-spacing: 0.03em; }
th:first-child, td:first-child { text-align: left; }
td { padding: 1.9mm 0; border-bottom: 0.2mm solid var(--line); text-align: right; vertical-align: top; white-space: nowrap; }
th + th, td + td { padding-left: 5mm; }
td:first-child { width: 100%; white-space: normal; overflow-wrap: anywhere; }
td .soft { display: block; line-height: 1.3; }
tr { break-inside: avoid; }
.section td { padding-top: 4mm; border-bottom: 0; font-weight: 600; }
.section td:last-child { color: var(--soft); font-weight: 400; }
.sums { display: grid; grid-template-columns: 1fr 84mm; gap: 10mm; margin-top: 6mm; break-inside: avoid; }
.taxes { font-size: 8.5pt; } .taxes td { padding: 1mm 0; } .taxes th, .taxes td { color: var(--soft); }
.taxes td:first-child { width: auto; }
.total { display: grid; grid-template-columns: 1fr auto; gap: 1.2mm 0; margin: 0; }
.total dd { white-space: nowrap; }
.total .strong { padding-top: 2mm; border-top: 0.3mm solid var(--ink); color: var(--ink); font-size: 12.5pt; font-weight: 700; }
.total .last { padding-top: 1.2mm; color: var(--brand); font-size: 12.5pt; font-weight: 700; }
footer { display: grid; grid-template-columns: 1fr 84mm; gap: 10mm; margin-top: auto; padding-top: 5mm; border-top: 0.2mm solid var(--line); color: var(--soft); font-size: 8.5pt; break-inside: avoid; }
.gap { flex: 1; min-height: 9mm; }
footer h2 { margin-bottom: 1mm; } footer div { overflow-wrap: anywhere; }
.watermark { position: absolute; top: 118mm; left: 0; right: 0; text-align: center; font-size: 92pt; font-weight: 700; letter-spacing: 0.06em; text-transform: uppercase; color: #b3261e14; transform: rotate(-24deg); pointer-events: none; }
@media print { body { background: #fff; } main { width: auto; min-height: 266mm; margin: 0; padding: 0; box-shadow: none; } thead { display: table-header-group; } }
@media screen and (max-width: 215mm) { main { width: auto; min-height: 0; margin: 0; padding: 6mm; } .parties, .sums, footer { grid-template-columns: 1fr; gap: 5mm; } }
`;

/** Two arcs over a point: a signal, in a square of 44 units. */
export const MARK_ARCS = ['M9 19.5a18.4 18.4 0 0 1 26 0', 'M14.2 25.2a11 11 0 0 1 15.6 0'] as const;
const MARK = new Markup(
  `<svg viewBox="0 0 44 44" aria-hidden="true"><rect width="44" height="44" rx="9" fill="#0b5fa5"/><g fill="none" stroke="#fff" stroke-width="3.4" stroke-linecap="round">${MARK_ARCS.map((arc) => `<path d="${arc}"/>`).join('')}</g><circle cx="22" cy="32" r="3.2" fill="#fff"/></svg>`,
);

const linesOf = (texts: readonly string[]): Markup[] => texts.map((text) => html`<div>${text}</div>`);

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function factOf([name, value]: readonly [string, string]): Markup {
  return html`<dt>${name}</dt>
    <dd class="${UUID.test(value) ? 'id' : 'fact'}">${value}</dd>`;
}

function row({ description, detail, quantity, unit, tax, net }: DocumentLine): Markup {
  const days = detail === '' ? undefined : html`<span class="soft">${detail}</span>`;
  return html`<tr>
    <td>${description}${days}</td>
    <td>${quantity}</td>
    <td>${unit}</td>
    <td>${tax}</td>
    <td>${net}</td>
  </tr> `;
}

function charges({ sections }: InvoiceDocument): Markup {
  if (sections.length === 0) return html`<p class="soft">No charges have been generated for this period.</p>`;
  const bodies = sections.map(
    ({ title, lines, net }) =>
      html`<tbody>
        <tr class="section">
          <td>${title}</td>
          <td colspan="4">${net}</td>
        </tr>
        ${lines.map(row)}
      </tbody> `,
  );
  return html`<table>
    <thead>
      <tr>
        <th scope="col">Description</th>
        <th scope="col">Quantity</th>
        <th scope="col">Price</th>
        <th scope="col">Tax</th>
        <th scope="col">Net amount</th>
      </tr>
    </thead>
    ${bodies}
  </table>`;
}

function sums({ taxes, net, total, paid, due }: InvoiceDocument): Markup {
  const rates = taxes.map(
    (tax) =>
      html`<tr>
        <td>${tax.rate}</td>
        <td>${tax.net}</td>
        <td>${tax.tax}</td>
      </tr>`,
  );
  const rest =
    paid === undefined
      ? undefined
      : html`<dt>Paid</dt>
          <dd>${paid}</dd>
          <dt class="last">Amount due</dt>
          <dd class="last">${due.amount}</dd>`;
  return html`<section class="sums">
    <div>
      ${
        taxes.length === 0
          ? undefined
          : html`<h2>Taxes</h2>
              <table class="taxes">
                <thead>
                  <tr>
                    <th scope="col">Rate</th>
                    <th scope="col">Net amount</th>
                    <th scope="col">Tax</th>
                  </tr>
                </thead>
                <tbody>
                  ${rates}
                </tbody>
              </table>`
      }
    </div>
    <dl class="total">
      <dt>Net amount</dt>
      <dd>${net}</dd>
      ${taxes.map(
        (tax) =>
          html`<dt>Tax ${tax.rate}</dt>
            <dd>${tax.tax}</dd>`,
      )}
      <dt class="strong">Total</dt>
      <dd class="strong">${total}</dd>
      ${rest}
    </dl>
  </section>`;
}

/** @returns a complete HTML document */
export function pageOf(invoice: InvoiceDocument): string {
  const { issuer, title, number, notice, customer, facts, due, payment, language } = invoice;
  const badge = notice === undefined ? undefined : html`<div class="notice ${notice.toLowerCase()}">${notice}</div>`;
  const reference = number === undefined ? undefined : html`<div class="number">${number}</div>`;
  const watermark = notice === 'Draft' || notice === 'Void' ? html`<div class="watermark" aria-hidden="true">${notice}</div>` : undefined;
  return html`<!doctype html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${number === undefined ? title : `${title} ${number}`} – ${issuer.name}</title>
        <style>
          ${new Markup(STYLE)}
        </style>
      </head>
      <body>
        <main>
          <header>
            <div class="brand">
              ${MARK}
              <div><strong>${issuer.name}</strong><span>${issuer.address.join(' · ')}</span></div>
            </div>
            <div class="heading">
              <h1>${title}</h1>
              ${reference} ${badge}
            </div>
          </header>
          <section class="parties">
            <div>
              <h2>Billed to</h2>
              <address><strong>${customer.name}</strong>${linesOf(customer.address)}</address>
            </div>
            <div>
              <h2>Details</h2>
              <dl>${facts.map(factOf)}</dl>
            </div>
          </section>
          <section class="due"><span>${due.label}</span><strong>${due.amount}</strong></section>
          ${charges(invoice)} ${sums(invoice)}
          <div class="gap"></div>
          <footer>
            <div>
              <h2>Payment</h2>
              ${linesOf(payment)}
            </div>
            <div>
              <h2>${issuer.name}</h2>
              ${linesOf(issuer.address)}
              <div>Tax number: ${issuer.taxId}</div>
            </div>
          </footer>
          ${watermark}
        </main>
      </body>
    </html> `.text;
}
