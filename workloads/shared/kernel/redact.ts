/** Removes credentials and personal data from log records and from the texts of spans. Pure. */

const REDACTED = '[redacted]';

/** Words in the names of fields whose values nobody may read in a log. */
const SECRET_NAMES =
  'authorization|api[-_]?key|password|passwd|passphrase|secret|token|cookie|credential|private[-_]?key|connection[-_]?string|database[-_]?url';
const PERSONAL_NAMES =
  'e[-_]?mail|phone|msisdn|iban|birth[-_]?date|surname|(?:first|last|full|given|family|customer)[-_]?name|(?:address[-_]?)?line[12]|street|postcode';
const NAMES = `${SECRET_NAMES}|${PERSONAL_NAMES}`;

/** Names of environment variables whose values are secrets. */
const SECRET_VARIABLE = /PASSWORD|TOKEN|SECRET|API_KEY/;
/** A shorter value would occur in any text; it protects nothing. */
const SHORTEST = 8;

/** Parts of {@link NAMES} in lower case. Each name has one of them, and few records do. */
const NAME_HINTS =
  'authorization apikey api_key api-key passw passphrase secret token cookie credential private connection database mail phone'
    .concat(
      ' msisdn iban birth surname firstname lastname fullname givenname familyname customername _name -name line1 line2 street postcode',
    )
    .split(' ');

interface Pattern {
  /** Lower case; a text without any of them does not match, which is cheap to find out. */
  hints: readonly string[];
  match: RegExp;
  replacement: string;
}

/**
 * What looks like a credential or like personal data, wherever it stands. None matches a quote of JSON. Lengths are limited where a match may
 * begin at each character: a hostile text must not take quadratic time.
 */
const PATTERNS: readonly Pattern[] = [
  { hints: ['private key'], match: /-----BEGIN ([A-Z ]{0,20}PRIVATE KEY)-----.*?(?:-----END \1-----|(?="|$))/gs, replacement: REDACTED },
  { hints: ['bearer ', 'basic '], match: /\b(bearer|basic) +[\w.~+/=-]{6,}/gi, replacement: `$1 ${REDACTED}` },
  // A JWT.
  { hints: ['eyj'], match: /(?<![\w-])eyJ[\w-]{8,4096}\.[\w-]+(?:\.[\w-]*)*/g, replacement: REDACTED },
  // User and password of an address, up to the last @ before the path.
  { hints: ['@'], match: /(\b[a-z][a-z\d+.-]{0,30}:\/\/)[^\s/"'<>?#\\]*@/gi, replacement: `$1${REDACTED}@` },
  {
    hints: ['?', '&', ';'],
    match: /([?&;](?:[\w-]{0,40}(?:token|secret|password|signature)|api[-_]?key|key|code|sig|jwt)=)[^&\s"'\\#]+/gi,
    replacement: `$1${REDACTED}`,
  },
  { hints: ['='], match: /((?:password|passwd|secret|token|api[-_]?key)\w{0,40}=)(?!\[)[^\s"'\\,;&]+/gi, replacement: `$1${REDACTED}` },
  // A field of JSON inside a text, whose quotes are escaped in the record.
  {
    hints: [String.raw`\"`],
    match: new RegExp(String.raw`(\\"[\w.-]{0,40}(?:${NAMES})[\w.-]{0,40}\\"\s{0,9}:\s{0,9}\\")(?:[^"\\]|\\[^"\\])+`, 'gi'),
    replacement: `$1${REDACTED}`,
  },
  // Postgres quotes the row that a constraint refuses.
  { hints: ['failing row contains'], match: /(failing row contains )\((?:[^"\\]|\\.)*/gi, replacement: `$1${REDACTED}` },
  // A telephone number in international form.
  { hints: ['+'], match: /(?<![\w.+-])\+[1-9]\d{7,14}(?!\d)/g, replacement: REDACTED },
  // An email address.
  { hints: ['@'], match: /[\w.+-]{1,64}@(?:[a-z\d-]{1,63}\.)+[a-z]{2,}\b/gi, replacement: REDACTED },
];

/** A field of a record: its value is a string, a number, or a list without lists in it. */
const FIELD: Pattern = {
  hints: NAME_HINTS,
  match: new RegExp(String.raw`("[\w.-]{0,40}(?:${NAMES})[\w.-]{0,40}":)(?:"(?:[^"\\]|\\.)*"|-?\d[\d.]*|\[[^\]]*\])`, 'gi'),
  replacement: `$1"${REDACTED}"`,
};

/** A text without credentials and personal data. */
export function redact(text: string): string {
  return replaced(text, PATTERNS);
}

/**
 * Redacts a log record, a line of JSON, which it remains.
 * @param secrets values that are removed wherever they stand
 */
export function redactRecord(line: string, secrets: readonly string[] = []): string {
  const bare = secrets.reduce((rest, secret) => rest.replaceAll(secret, REDACTED), line);
  return replaced(bare, [FIELD, ...PATTERNS]);
}

function replaced(text: string, patterns: readonly Pattern[]): string {
  const lower = text.toLowerCase();
  const possible = patterns.filter(({ hints }) => hints.some((hint) => lower.includes(hint)));
  return possible.reduce((rest, { match, replacement }) => rest.replace(match, replacement), text);
}

/** The secrets of an environment, as a record of JSON shows them; the longest first, because one may contain another. */
export function secretsOf(env: NodeJS.ProcessEnv): string[] {
  const values = Object.entries(env).filter(([name]) => SECRET_VARIABLE.test(name) && !name.endsWith('_FILE'));
  const forms = values.flatMap(([, value = '']) => [value, encodeURIComponent(value), Buffer.from(value).toString('base64')]);
  const texts = new Set(forms.map((form) => JSON.stringify(form).slice(1, -1)).filter((form) => form.length >= SHORTEST));
  return [...texts].toSorted((a, b) => b.length - a.length);
}
