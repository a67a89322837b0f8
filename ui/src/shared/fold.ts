/**
 * Folding for the filters of the window itself (layers, commands); features are searched in the core, which folds the
 * same way (crate `model`, `text.rs`).
 */
export function fold(text: string): string {
  return [...text].map(foldChar).join('').replace(/[^\p{L}\p{N}]+/gu, ' ').trim()
}

function foldChar(char: string): string {
  return char.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase().replace('đ', 'd')
}

/** Where each word of `query` starts a word of `text`: [start, end] in UTF-16 units, or null when one is missing. */
export function match(text: string, query: string): [number, number][] | null {
  const words = fold(query).split(' ').filter(Boolean)
  if (words.length === 0) return []
  // One folded character for each character of the text, so that places carry over.
  const chars = [...text.normalize('NFC')]
  const folded = chars.map((char) => foldChar(char) || ' ')
  const starts: number[] = []
  let at = 0
  for (const char of chars) {
    starts.push(at)
    at += char.length
  }
  starts.push(at)
  const line = folded.map((char) => (/[\p{L}\p{N}]/u.test(char) ? (char[0] ?? ' ') : ' ')).join('')
  const marks: [number, number][] = []
  for (const word of words) {
    const found = (' ' + line).indexOf(' ' + word)
    if (found < 0) return null
    marks.push([starts[found] ?? 0, starts[found + word.length] ?? at])
  }
  return marks.sort((a, b) => a[0] - b[0])
}
