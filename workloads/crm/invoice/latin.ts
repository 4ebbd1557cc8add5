/** Texts in the character set of the standard fonts of PDF, which is that of Windows code page 1252. */

/** Characters of the code page outside of Latin-1. */
const EXTRA = new Set('€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ');
/** Letters that have no decomposition. */
const LETTERS: Readonly<Record<string, string>> = { ł: 'l', Ł: 'L', đ: 'd', Đ: 'D', ı: 'i', ħ: 'h', Ħ: 'H', '\u202f': ' ', '\u2009': ' ' };

const encodable = (character: string): boolean => /^[ -~\u00a0-\u00ff]$/.test(character) || EXTRA.has(character);

function nearest(character: string): string {
  if (encodable(character)) return character;
  const base = LETTERS[character] ?? character.normalize('NFD').replaceAll(/\p{Mn}/gu, '');
  return base !== '' && Array.from(base).every(encodable) ? base : '?';
}

/** A text with the nearest character that the fonts have for each: `Łódź` becomes `Lódz`, a character of another script `?`. */
export function latinText(text: string): string {
  return Array.from(text.normalize('NFC'), nearest).join('');
}
