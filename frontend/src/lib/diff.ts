/** What changed between two texts, word by word. */
export interface Change {
  op: "equal" | "insert" | "delete";
  text: string;
}

/** The table of the comparison has one cell for each pair of words: more than this is too many. */
const MOST_CELLS = 4_000_000;

const words = (text: string) => text.match(/\s+|[^\s\w]|\w+/g) ?? [];

/** Pieces in order; the equal and deleted ones are the left text, the equal and inserted ones the right. Very long texts are replaced as a whole. */
export function diffWords(left: string, right: string): Change[] {
  if (left === right) return left ? [{ op: "equal", text: left }] : [];
  const a = words(left);
  const b = words(right);
  let from = 0;
  while (from < a.length && from < b.length && a[from] === b[from]) from++;
  let end = 0;
  while (end < a.length - from && end < b.length - from && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const out: Change[] = [];
  const put = (op: Change["op"], text: string) => {
    const last = out[out.length - 1];
    if (!text) return;
    if (last?.op === op) last.text += text;
    else out.push({ op, text });
  };
  put("equal", a.slice(0, from).join(""));
  middle(a.slice(from, a.length - end), b.slice(from, b.length - end), put);
  put("equal", end ? a.slice(-end).join("") : "");
  return joined(out);
}

/** A change runs on over the blanks between its words: that reads better than a change for every word. */
function joined(changes: Change[]): Change[] {
  const out: Change[] = [];
  for (let i = 0; i < changes.length; i++) {
    let deleted = "";
    let inserted = "";
    let at = i;
    const blank = (n: number) => changes[n]?.op === "equal" && !changes[n].text.trim() && changes[n + 1] !== undefined && changes[n + 1]!.op !== "equal";
    for (; at < changes.length && (changes[at]!.op !== "equal" || (at > i && blank(at))); at++) {
      if (changes[at]!.op !== "insert") deleted += changes[at]!.text;
      if (changes[at]!.op !== "delete") inserted += changes[at]!.text;
    }
    if (at === i) {
      out.push(changes[i]!);
      continue;
    }
    if (deleted) out.push({ op: "delete", text: deleted });
    if (inserted) out.push({ op: "insert", text: inserted });
    i = at - 1;
  }
  return out;
}

function middle(a: string[], b: string[], put: (op: Change["op"], text: string) => void): void {
  if (a.length * b.length > MOST_CELLS) {
    put("delete", a.join(""));
    put("insert", b.join(""));
    return;
  }
  // Longest common subsequence, from the end.
  const width = b.length + 1;
  const table = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) table[i * width + j] = a[i] === b[j] ? table[(i + 1) * width + j + 1]! + 1 : Math.max(table[(i + 1) * width + j]!, table[i * width + j + 1]!);
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      put("equal", a[i]!);
      i++;
      j++;
    } else if (i < a.length && (j >= b.length || table[(i + 1) * width + j]! >= table[i * width + j + 1]!)) put("delete", a[i++]!);
    else put("insert", b[j++]!);
  }
}
