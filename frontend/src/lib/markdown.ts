/** The part of Markdown that cards use, as data: rendering it as React elements needs no HTML sanitiser. */
export type Block =
  | { type: "heading"; level: number; text: string }
  | { type: "paragraph" | "quote" | "code"; text: string }
  | { type: "list"; ordered: boolean; items: string[] }
  | { type: "table"; head: string[]; rows: string[][] };

export type Inline = { type: "text" | "bold" | "italic" | "code"; text: string } | { type: "link"; text: string; href: string };

const cells = (line: string) => line.trim().replace(/^\||\|$/g, "").split("|").map((c) => c.trim());
const RULE = /^\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?\s*$/;
const BULLET = /^\s*(?:[-*+]|(\d+)[.)])\s+(.*)$/;

export function parseMarkdown(source: string): Block[] {
  const lines = source.replace(/\r\n?/g, "\n").split("\n");
  const out: Block[] = [];
  let i = 0;
  if (lines[0] === "---") {
    const end = lines.indexOf("---", 1);
    if (end > 0) {
      out.push({ type: "code", text: lines.slice(1, end).join("\n") });
      i = end + 1;
    }
  }
  while (i < lines.length) {
    const line = lines[i]!;
    if (!line.trim()) {
      i++;
      continue;
    }
    const fence = /^\s*(```+|~~~+)/.exec(line);
    if (fence) {
      const close = lines.findIndex((l, at) => at > i && l.trim().startsWith(fence[1]!));
      const end = close < 0 ? lines.length : close;
      out.push({ type: "code", text: lines.slice(i + 1, end).join("\n") });
      i = end + 1;
      continue;
    }
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    if (heading) {
      out.push({ type: "heading", level: heading[1]!.length, text: heading[2]!.trim() });
      i++;
      continue;
    }
    if (line.includes("|") && RULE.test(lines[i + 1] ?? "")) {
      const head = cells(line);
      const rows: string[][] = [];
      i += 2;
      while (i < lines.length && lines[i]!.includes("|")) rows.push(cells(lines[i++]!));
      out.push({ type: "table", head, rows });
      continue;
    }
    const bullet = BULLET.exec(line);
    if (bullet) {
      const items: string[] = [];
      const ordered = bullet[1] !== undefined;
      while (i < lines.length) {
        const m = BULLET.exec(lines[i]!);
        if (m && (m[1] !== undefined) === ordered) items.push(m[2]!);
        else if (lines[i]!.startsWith("  ") && lines[i]!.trim() && items.length) items[items.length - 1] += ` ${lines[i]!.trim()}`;
        else break;
        i++;
      }
      out.push({ type: "list", ordered, items });
      continue;
    }
    if (line.startsWith(">")) {
      const text: string[] = [];
      while (i < lines.length && lines[i]!.startsWith(">")) text.push(lines[i++]!.replace(/^>\s?/, ""));
      out.push({ type: "quote", text: text.join(" ") });
      continue;
    }
    const text: string[] = [];
    while (i < lines.length && lines[i]!.trim() && !/^(#{1,6}\s|>|\s*```|\s*~~~)/.test(lines[i]!) && !BULLET.test(lines[i]!)) text.push(lines[i++]!.trim());
    if (!text.length) text.push(lines[i++]!.trim());
    out.push({ type: "paragraph", text: text.join(" ") });
  }
  return out;
}

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|(?<![\w*])\*([^*\s][^*]*)\*|\[([^\]]+)\]\(((?:https?:\/\/|\/(?!\/))[^)\s]*)\)/g;

export function parseInline(text: string): Inline[] {
  const out: Inline[] = [];
  let at = 0;
  for (const m of text.matchAll(INLINE)) {
    if (m.index > at) out.push({ type: "text", text: text.slice(at, m.index) });
    if (m[1] !== undefined) out.push({ type: "code", text: m[1] });
    else if (m[2] !== undefined) out.push({ type: "bold", text: m[2] });
    else if (m[3] !== undefined) out.push({ type: "italic", text: m[3] });
    else out.push({ type: "link", text: m[4]!, href: m[5]! });
    at = m.index + m[0].length;
  }
  if (at < text.length) out.push({ type: "text", text: text.slice(at) });
  return out;
}
