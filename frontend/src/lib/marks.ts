/** Where words stand in a text, so that a page can mark them. */
export interface Piece {
  text: string;
  hit: boolean;
}

/** The text in pieces; every place where one of the words stands, whatever the case, is a piece of its own. */
export function marked(text: string, words: string[]): Piece[] {
  const low = text.toLowerCase();
  // Some letters change length with their case (İ): then places in one text are not places in the other.
  if (low.length !== text.length) return [{ text, hit: false }];
  const spots: [number, number][] = [];
  for (const word of new Set(words.map((w) => w.toLowerCase())))
    for (let at = word ? low.indexOf(word) : -1; at >= 0; at = low.indexOf(word, at + word.length)) spots.push([at, at + word.length]);
  spots.sort((a, b) => a[0] - b[0]);
  const pieces: Piece[] = [];
  let done = 0;
  for (const [from, to] of spots) {
    if (from < done) continue;
    if (from > done) pieces.push({ text: text.slice(done, from), hit: false });
    pieces.push({ text: text.slice(from, to), hit: true });
    done = to;
  }
  if (done < text.length || !pieces.length) pieces.push({ text: text.slice(done), hit: false });
  return pieces;
}

/** The text in pieces by places that somebody else found, counted in characters (code points), as the server counts. */
export function markedAt(text: string, marks: number[][]): Piece[] {
  const chars = [...text];
  const pieces: Piece[] = [];
  let done = 0;
  for (const [from = 0, to = 0] of [...marks].sort((a, b) => a[0]! - b[0]!)) {
    if (from < done || to <= from) continue;
    if (from > done) pieces.push({ text: chars.slice(done, from).join(""), hit: false });
    pieces.push({ text: chars.slice(from, to).join(""), hit: true });
    done = to;
  }
  if (done < chars.length || !pieces.length) pieces.push({ text: chars.slice(done).join(""), hit: false });
  return pieces;
}

/** A text with its marks, begun shortly before the first of them: in a narrow cell the find is in sight. */
export function near(text: string, marks: number[][], room = 18): { text: string; marks: number[][] } {
  const first = Math.min(...marks.map(([from = 0]) => from), Infinity);
  if (first === Infinity || first <= room) return { text, marks };
  const chars = [...text];
  let from = first - room;
  while (from < first && chars[from - 1] !== " ") from++;
  return { text: `…${chars.slice(from).join("")}`, marks: marks.map(([a = 0, b = 0]) => [a - from + 1, b - from + 1]) };
}

/** The part of a long text around the first word found, or its beginning. */
export function around(text: string, words: string[], room = 60): string {
  const low = text.toLowerCase();
  const at = Math.min(...words.map((w) => low.indexOf(w.toLowerCase())).filter((n) => n >= 0), Infinity);
  return at === Infinity || at < room ? text : `…${text.slice(at - Math.floor(room / 3))}`;
}
