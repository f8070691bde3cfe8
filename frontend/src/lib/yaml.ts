/** The part of YAML that recipes are written in: mappings, lists, flow values, strings, numbers and comments. */
export class YamlError extends Error {
  readonly line: number;
  constructor(line: number, message: string) {
    super(`Line ${line}: ${message}`);
    this.line = line;
  }
}

interface Source {
  indent: number;
  text: string;
  line: number;
}

/** Cut a comment off, but not inside quotes. */
function bare(text: string): string {
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quote) {
      if (c === "\\" && quote === '"') i++;
      else if (c === quote) quote = "";
    } else if ((c === '"' || c === "'") && (i === 0 || /[\s[{,:]/.test(text[i - 1]!))) quote = c;
    else if (c === "#" && (i === 0 || /\s/.test(text[i - 1]!))) return text.slice(0, i);
  }
  return text;
}

function plain(text: string, line: number): unknown {
  if (text.startsWith('"')) {
    try {
      return JSON.parse(text);
    } catch {
      throw new YamlError(line, `the quotes of ${text} do not close`);
    }
  }
  if (text.startsWith("'")) {
    if (!/^'(?:[^']|'')*'$/.test(text)) throw new YamlError(line, `the quotes of ${text} do not close`);
    return text.slice(1, -1).replace(/''/g, "'");
  }
  if (text === "" || text === "~" || text === "null") return null;
  if (text === "true" || text === "false") return text === "true";
  if (/^[-+]?(\d[\d_]*)(\.\d*)?([eE][-+]?\d+)?$|^[-+]?\.\d+([eE][-+]?\d+)?$/.test(text)) return Number(text.replace(/_/g, ""));
  if (/^[&*!|>%@`]/.test(text)) throw new YamlError(line, `${text[0]} is not read here; put the text in quotes`);
  return text;
}

/** A value within brackets: `[a, b]`, `{k: v}`. */
function flow(text: string, line: number): unknown {
  let at = 0;
  const skip = () => {
    while (/\s/.test(text[at] ?? "")) at++;
  };
  const word = (stops: string): string => {
    skip();
    const from = at;
    const quote = text[at] === '"' || text[at] === "'" ? text[at]! : "";
    if (quote) {
      at++;
      while (at < text.length && (text[at] !== quote || (quote === '"' && text[at - 1] === "\\"))) at++;
      at++;
    } else while (at < text.length && !stops.includes(text[at]!)) at++;
    return text.slice(from, at).trim();
  };
  const value = (): unknown => {
    skip();
    if (text[at] === "[") {
      at++;
      const list: unknown[] = [];
      for (skip(); text[at] !== "]"; skip()) {
        if (at >= text.length) throw new YamlError(line, "a ] is missing");
        list.push(value());
        skip();
        if (text[at] === ",") at++;
        else if (text[at] !== "]") throw new YamlError(line, "a , or ] is missing");
      }
      at++;
      return list;
    }
    if (text[at] === "{") {
      at++;
      const map: Record<string, unknown> = {};
      for (skip(); text[at] !== "}"; skip()) {
        if (at >= text.length) throw new YamlError(line, "a } is missing");
        const key = String(plain(word(":,}"), line));
        skip();
        if (text[at] !== ":") throw new YamlError(line, `a : is missing after ${key}`);
        at++;
        map[key] = value();
        skip();
        if (text[at] === ",") at++;
        else if (text[at] !== "}") throw new YamlError(line, "a , or } is missing");
      }
      at++;
      return map;
    }
    return plain(word(",]}"), line);
  };
  const found = value();
  skip();
  if (at < text.length) throw new YamlError(line, `nothing was expected after ${text.slice(0, at)}`);
  return found;
}

const KEY = /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#[\]{},&*!|>'"%@`][^#]*?)\s*:(?:\s+(.*))?$/;

class Reader {
  private at = 0;
  private readonly lines: Source[];
  private readonly raw: string[];
  constructor(text: string) {
    this.raw = text.split(/\r?\n/);
    this.lines = this.raw
      .map((whole, i) => {
        if (/^\s*\t/.test(whole)) throw new YamlError(i + 1, "a line begins with a tab; use spaces");
        const cut = bare(whole).trimEnd();
        return { indent: cut.length - cut.trimStart().length, text: cut.trim(), line: i + 1 };
      })
      .filter((l) => l.text !== "" && l.text !== "---");
  }

  read(): unknown {
    if (!this.lines.length) return {};
    const found = this.block(this.lines[0]!.indent);
    const rest = this.lines[this.at];
    if (rest) throw new YamlError(rest.line, "is not in line with what is above it");
    return found;
  }

  private block(indent: number): unknown {
    const first = this.lines[this.at]!;
    if (first.text === "-" || first.text.startsWith("- ")) return this.list(indent);
    if (KEY.test(first.text)) return this.map(indent);
    this.at++;
    return this.inline(first.text, first.line);
  }

  private inline(text: string, line: number): unknown {
    return /^[[{]/.test(text) ? flow(text, line) : plain(text, line);
  }

  /** What stands below a key or a dash, if it is further in. */
  private below(indent: number, sameForList: boolean): unknown {
    const next = this.lines[this.at];
    if (next && (next.indent > indent || (sameForList && next.indent === indent && /^-( |$)/.test(next.text)))) return this.block(next.indent);
    return null;
  }

  private list(indent: number): unknown[] {
    const out: unknown[] = [];
    for (let l = this.lines[this.at]; l && l.indent === indent && /^-( |$)/.test(l.text); l = this.lines[this.at]) {
      const rest = l.text.slice(1).trim();
      if (!rest) {
        this.at++;
        out.push(this.below(indent, false));
      } else if (KEY.test(rest)) {
        const inner = indent + (l.text.length - rest.length);
        this.lines[this.at] = { indent: inner, text: rest, line: l.line };
        out.push(this.map(inner));
      } else {
        this.at++;
        out.push(this.inline(rest, l.line));
      }
    }
    return out;
  }

  private map(indent: number): Record<string, unknown> {
    const out: Record<string, unknown> = {};
    for (let l = this.lines[this.at]; l && l.indent === indent; l = this.lines[this.at]) {
      const m = KEY.exec(l.text);
      if (!m) throw new YamlError(l.line, "is not written as key: value");
      const key = String(plain(m[1]!, l.line));
      if (Object.hasOwn(out, key)) throw new YamlError(l.line, `${key} is there twice`);
      this.at++;
      const value = (m[2] ?? "").trim();
      if (/^[|>][-+]?$/.test(value)) out[key] = this.text(l, value.startsWith("|") ? "\n" : " ");
      else out[key] = value ? this.inline(value, l.line) : this.below(indent, true);
    }
    return out;
  }

  /** Lines of a block of text, as they stand. */
  private text(key: Source, join: string): string {
    const found: string[] = [];
    let inner = -1;
    for (let i = key.line; i < this.raw.length; i++) {
      const whole = this.raw[i]!;
      const indent = whole.length - whole.trimStart().length;
      if (whole.trim() && indent <= key.indent) break;
      if (whole.trim() && inner < 0) inner = indent;
      found.push(whole.slice(Math.max(0, inner)));
      while (this.lines[this.at] && this.lines[this.at]!.line <= i + 1) this.at++;
    }
    return `${found.join(join).trimEnd()}\n`;
  }
}

/** Read a mapping; raises YamlError with the line. */
export function parseYaml(text: string): Record<string, unknown> {
  const found = new Reader(text).read();
  if (typeof found !== "object" || found === null || Array.isArray(found)) throw new YamlError(1, "a recipe is written as key: value lines");
  return found as Record<string, unknown>;
}

function scalar(v: unknown): string {
  if (typeof v !== "string") return JSON.stringify(v) ?? "null";
  const safe = /^[A-Za-z_/.][\w ./@+-]*$/.test(v) && !/^(true|false|null|yes|no|on|off)$/i.test(v) && v === v.trim();
  return safe ? v : JSON.stringify(v);
}

const inFlow = (v: unknown): string => (Array.isArray(v) ? `[${v.map(inFlow).join(", ")}]` : v !== null && typeof v === "object" ? `{${Object.entries(v).map(([k, x]) => `${scalar(k)}: ${inFlow(x)}`).join(", ")}}` : scalar(v));

/** Write a mapping so that `parseYaml` reads it back: small values on one line, larger ones below their key. */
export function writeYaml(map: Record<string, unknown>, indent = ""): string {
  return Object.entries(map)
    .map(([key, v]) => {
      const whole = `${indent}${scalar(key)}: ${inFlow(v)}`;
      const nested = v !== null && typeof v === "object" && !Array.isArray(v) && Object.keys(v).length > 0;
      return nested && whole.length > 100 ? `${indent}${scalar(key)}:\n${writeYaml(v as Record<string, unknown>, `${indent}  `)}` : `${whole}\n`;
    })
    .join("");
}
