import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inflateSync } from 'node:zlib';
import { exampleInvoice, ISSUER } from '../testing/invoice.ts';
import { documentOf, moneyText, rateText } from './document.ts';
import { html } from './html.ts';
import { latinText } from './latin.ts';
import { pageOf } from './page.ts';
import { pdfOf } from './pdf.ts';

const documented = (change: Parameters<typeof exampleInvoice>[0] = {}) => documentOf(exampleInvoice(change), ISSUER);

/** The texts of a PDF, one for each operation that shows text. */
function textsOf(pdf: Buffer): string[] {
  const texts: string[] = [];
  for (let start = pdf.indexOf('stream\n'); start >= 0; start = pdf.indexOf('\nstream\n', start + 1)) {
    const from = pdf.indexOf('\n', start + 1) + 1;
    const content = inflated(pdf.subarray(from, pdf.indexOf('\nendstream', from)));
    for (const [, shown = ''] of content.matchAll(/\[([^\]]*)\] TJ/g)) {
      texts.push([...shown.matchAll(/<([0-9a-f]*)>/g)].map(([, hex = '']) => Buffer.from(hex, 'hex').toString('latin1')).join(''));
    }
  }
  return texts;
}

function inflated(stream: Buffer): string {
  try {
    return inflateSync(stream).toString('latin1');
  } catch {
    return '';
  }
}

test('amounts have the digits of their currency, exactly', () => {
  const texts = [
    ['1250', 'EUR'],
    ['-5', 'EUR'],
    ['0', 'USD'],
    ['1250', 'JPY'],
    ['1250', 'KWD'],
    ['999999999999999999', 'EUR'],
  ].map(([minor = '', currency = '']) => moneyText(minor, currency).replaceAll('\u00a0', ' '));
  assert.deepEqual(texts, ['€12.50', '-€0.05', 'US$0.00', 'JP¥1,250', 'KWD 1.250', '€9,999,999,999,999,999.99']);
  assert.deepEqual([0, 700, 725, 1_900].map(rateText), ['0%', '7%', '7.25%', '19%']);
});

test('an invoice names its days, its taxes and what is due', () => {
  const { number, notice, due, sections, taxes, net, total, paid, payment } = documented();
  assert.deepEqual([number, notice, due], ['INV-2026-000042', undefined, { label: 'Due by 15 February 2026', amount: '€240.61' }]);
  assert.deepEqual(
    sections.map(({ title, net: sum, lines }) => [title, sum, lines.length]),
    [
      ['Monthly charges', '€104.65', 4],
      ['One-time charges', '€98.50', 2],
    ],
  );
  assert.deepEqual(sections[0]?.lines[2], {
    description: 'TV package “Family”',
    detail: '12–31 Jan 2026, 20 of 31 days',
    quantity: '1',
    unit: '€12.90',
    tax: '19%',
    net: '€8.32',
  });
  assert.deepEqual(
    [net, taxes.map(({ rate, tax }) => [rate, tax]), total, paid],
    [
      '€203.15',
      [
        ['19%', '€36.80'],
        ['7%', '€0.66'],
      ],
      '€240.61',
      undefined,
    ],
  );
  assert.equal(payment.at(-1), 'Payment reference: INV-2026-000042');
});

test('a draft, a voided, a partly paid and a settled invoice say so', () => {
  const draft = documented({ status: 'validated', number: null, issueDate: null, dueDate: null });
  assert.deepEqual([draft.notice, draft.number, draft.due.label], ['Draft', undefined, 'Amount due']);
  assert.ok(draft.facts.some(([name, value]) => name === 'Invoice' && value === exampleInvoice().id));
  assert.deepEqual([documented({ status: 'voided' }).notice, documented({ status: 'voided' }).due.amount], ['Void', '€0.00']);
  const part = documented({ status: 'partiallyPaid', paidMinor: '10000' });
  assert.deepEqual([part.notice, part.paid, part.due.amount], [undefined, '-€100.00', '€140.61']);
  const settled = documented({ status: 'settled', paidMinor: '24061' });
  assert.deepEqual([settled.notice, settled.due], ['Paid', { label: 'Amount due', amount: '€0.00' }]);
});

test('whatever a text contains, the page shows it and executes nothing', () => {
  const name = `<script>alert(1)</script> & "O'Hara"`;
  const lines = exampleInvoice().lines.map((line) => ({ ...line, description: `</td><img src=x onerror="alert(1)">` }));
  const customer = { id: exampleInvoice().customer.id, name, address: ['</style><b>', `'" onload='x`] };
  const page = pageOf(documentOf(exampleInvoice({ customer, lines }), { ...ISSUER, name: '<i>' }));
  assert.ok(page.includes('&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;O&#39;Hara&quot;'));
  const tags = new Set([...page.matchAll(/<\/?([a-z0-9]+)/g)].map(([, tag = '']) => tag));
  for (const tag of ['script', 'img', 'b', 'i']) assert.ok(!tags.has(tag), `<${tag}> comes from a text`);
  assert.equal([...page.matchAll(/<\/style>/g)].length, 1);
  assert.equal(html`<p title="${'"><x'}">${['a<', html`<br />`]}${undefined}</p>`.text, '<p title="&quot;&gt;&lt;x">a&lt;<br /></p>');
});

test('the page has every line, and a watermark only where it is not to be paid', () => {
  const page = pageOf(documented());
  for (const { description } of exampleInvoice().lines) assert.ok(page.includes(description), description);
  assert.ok(page.includes('@page { size: A4'));
  const marked = (status: string) => pageOf(documented({ status })).includes('class="watermark"');
  assert.deepEqual(['sent', 'settled', 'validated', 'voided'].map(marked), [false, false, true, true]);
});

test('the PDF has every line, and equal invoices give equal bytes', async () => {
  const pdf = await pdfOf(documented());
  assert.equal(pdf.subarray(0, 5).toString(), '%PDF-');
  const texts = textsOf(pdf);
  for (const wanted of [
    'Jane Example',
    'Static IP address',
    '12\x9631 Jan 2026, 20 of 31 days',
    '\x80240.61',
    'Invoice INV-2026-000042 \xb7 page 1 of 1',
  ])
    assert.ok(texts.includes(wanted), `${wanted} is not among ${texts.join(' | ')}`);
  assert.ok(pdf.equals(await pdfOf(documented())));
});

test('a long invoice continues on further pages, each with the head of the table and its number', async () => {
  const { lines } = exampleInvoice();
  const many = Array.from({ length: 10 }, () => lines).flat();
  const texts = textsOf(await pdfOf(documented({ lines: many })));
  const pages = texts.filter((text) => / page \d+ of \d+$/.test(text)).map((text) => text.slice(text.indexOf('page')));
  assert.ok(pages.length > 2);
  assert.deepEqual(
    pages,
    pages.map((_text, index) => `page ${index + 1} of ${pages.length}`),
  );
  assert.ok(texts.filter((text) => text === 'Quantity').length >= pages.length - 1);
  assert.equal(texts.filter((text) => text === 'Static IP address').length, 10);
});

test('a character that the fonts of the PDF do not have becomes the nearest one', () => {
  assert.equal(latinText('Łódź – Ķěŷ “€5” Ωx 漢'), 'Lódz – Key “€5” ?x ?');
  assert.equal(latinText('Zoe\u0308'), 'Zoë');
});
