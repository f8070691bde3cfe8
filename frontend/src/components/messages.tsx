/** Messages as people read them: parts, tools, reasoning, images; anything else as JSON. */
import { useState } from "react";
import { bytes } from "../lib/format.ts";
import { messagesOf, type Part, pretty, type Shown } from "../lib/messages.ts";
import { Code } from "./bits.tsx";

const LIMIT = 6000;

function Long({ text, mono }: { text: string; mono?: boolean }) {
  const [all, setAll] = useState(false);
  const cut = !all && text.length > LIMIT;
  return (
    <>
      <div className={mono ? "message-text mono" : "message-text"}>{cut ? text.slice(0, LIMIT) : text}</div>
      {cut && (
        <button type="button" className="button small" onClick={() => setAll(true)}>
          Show all ({bytes(text.length)})
        </button>
      )}
    </>
  );
}

function Piece({ part }: { part: Part }) {
  if (part.kind === "image") return <img className="message-image" src={part.text} alt="Image of the message" />;
  if (part.kind === "reasoning")
    return (
      <details className="reasoning" open={part.text.length < 600}>
        <summary>Reasoning</summary>
        <Long text={part.text} />
      </details>
    );
  return (
    <div className={part.kind === "json" ? "message-json" : undefined}>
      {part.title && <div className="message-title">{part.title}</div>}
      {part.text && <Long text={part.text} mono={part.kind === "json"} />}
    </div>
  );
}

export function MessageItem({ message: m }: { message: Shown }) {
  return (
    <li className={`message ${m.role}`}>
      <div className="message-role">{m.role}</div>
      {m.parts.length === 0 && <div className="muted">(empty)</div>}
      {m.parts.map((p, n) => (
        <Piece key={n} part={p} />
      ))}
    </li>
  );
}

export function Messages({ body, label }: { body: unknown; label: string }) {
  const found = messagesOf(body);
  if (found)
    return (
      <ol className="messages" aria-label={label}>
        {found.map((m, i) => (
          <MessageItem key={i} message={m} />
        ))}
      </ol>
    );
  if (typeof body === "string") {
    const json = /^\s*[[{]/.test(body) ? pretty(body) : body;
    return json === body ? (
      <div className="message">
        <Long text={body} />
      </div>
    ) : (
      <Code text={json} label={label} max={420} />
    );
  }
  return <Code text={JSON.stringify(body, null, 2)} label={label} max={420} />;
}
