/** What is judged: the conversation, one answer or two side by side, the reference, and everything else the item holds. */
import type { Content } from "../../api/types.ts";
import { sidesOf, type Sides } from "../../lib/annotate.ts";
import { A } from "../../lib/nav.tsx";
import { Code } from "../bits.tsx";
import { Messages } from "../messages.tsx";

function Rest({ items }: { items: [string, unknown][] }) {
  return (
    <dl className="item-rest">
      {items.map(([name, value]) => (
        <div key={name}>
          <dt>{name.replace(/_/g, " ")}</dt>
          <dd>
            {typeof value === "object" ? (
              <details>
                <summary>Show</summary>
                <Code text={JSON.stringify(value, null, 2)} label={name} max={240} />
              </details>
            ) : (
              String(value)
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Answers({ sides, chosen }: { sides: Sides; chosen?: unknown }) {
  const pair = sides.answers.length > 1;
  return (
    <div className={pair ? "item-pair" : "item-one"}>
      {sides.answers.map((a) => (
        <section key={a.name} className={chosen === a.name.toLowerCase() ? "item-answer chosen" : "item-answer"} aria-label={pair ? `Answer ${a.name}` : a.name}>
          <h2>{pair ? `Answer ${a.name}` : a.name}</h2>
          <Messages body={a.body} label={a.name} />
        </section>
      ))}
    </div>
  );
}

export function ItemContent({ content, chosen }: { content: Content; /** Of a pair: the better side, "a" or "b". */ chosen?: unknown }) {
  const sides = sidesOf(content);
  return (
    <div className="item-content">
      {sides.asked != null && (
        <section aria-label="What was asked">
          <Messages body={sides.asked} label="What was asked" />
        </section>
      )}
      {sides.error && (
        <div className="note bad" role="note">
          {sides.error}
        </div>
      )}
      {sides.answers.length > 0 && <Answers sides={sides} chosen={chosen} />}
      {sides.reference !== undefined && (
        <section className="item-reference" aria-label="Reference">
          <h2>Reference</h2>
          <Messages body={sides.reference} label="Reference" />
        </section>
      )}
      {sides.rest.length > 0 && <Rest items={sides.rest} />}
      {sides.traceId && (
        <p>
          <A href={`/traces/${sides.traceId}`} target="_blank" rel="noreferrer">
            Open the trace
          </A>
        </p>
      )}
    </div>
  );
}
