/** The beginning of a recorded body as words: of a cut JSON text, what the messages say. */
const SAID = /"(?:content|text|input|query|prompt|thinking)"\s*:\s*"((?:\\.|[^"\\])*)/g;
const NAMED = /"name"\s*:\s*"((?:\\.|[^"\\])*)/;

function unescaped(text: string): string {
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    return text; // A cut escape at the end.
  }
}

/** Words of a preview; the preview itself when it is no JSON or says nothing in words. */
export function wordsIn(preview: string): string {
  if (!/^\s*[[{]/.test(preview)) return preview;
  const said = [...preview.matchAll(SAID)].map((m) => unescaped(m[1]!)).filter((s) => s.trim());
  if (said.length) return said.join(" · ");
  const name = NAMED.exec(preview)?.[1];
  return name && /tool/.test(preview) ? `calls ${unescaped(name)}` : preview;
}
