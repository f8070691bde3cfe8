/** Items on which people differ: everybody's answers beside the item, and the one that holds. */
import { useState } from "react";
import { api, path } from "../../api/client.ts";
import type { QueueDetail, QueueRow, Values } from "../../api/types.ts";
import { answersOf, missing, said, votes } from "../../lib/annotate.ts";
import { useAct } from "../../lib/query.ts";
import { When } from "../bits.tsx";
import { ItemContent } from "./content.tsx";
import { Questions } from "./questions.tsx";

/** Who said what, question by question. */
export function Votes({ queue, row }: { queue: QueueDetail; row: QueueRow }) {
  return (
    <ul className="votes">
      {queue.labels.map((label) => {
        const found = votes(row.work, label.name);
        return (
          <li key={label.name}>
            <h3>{label.name.replace(/_/g, " ")}</h3>
            {found.length === 0 && <span className="muted">no answer</span>}
            <ul>
              {found.map((v) => (
                <li key={JSON.stringify(v.value)} className={found.length > 1 ? "said-one split" : "said-one"}>
                  <b className="wrap">{said(label, v.value)}</b> <span className="muted">{v.by.join(", ")}</span>
                </li>
              ))}
            </ul>
          </li>
        );
      })}
      {row.work
        .filter((w) => w.comment)
        .map((w) => (
          <li key={w.id}>
            <span className="muted">
              {w.annotator}
              {w.state === "skipped" ? " skipped it" : ""}, <When at={w.updated_at} />:
            </span>{" "}
            {w.comment}
          </li>
        ))}
    </ul>
  );
}

/** What most people said, where there is a majority: that is where deciding starts. */
function majority(queue: QueueDetail, row: QueueRow): Values {
  const out: Values = {};
  for (const label of queue.labels) {
    const found = votes(row.work, label.name);
    if (found[0] && (!found[1] || found[0].by.length > found[1].by.length)) out[label.name] = found[0].value;
  }
  return out;
}

export function Adjudicate({ queue, row, done }: { queue: QueueDetail; row: QueueRow; done: () => void }) {
  const [values, setValues] = useState<Values>(() => row.final ?? majority(queue, row));
  const [at, setAt] = useState(0);
  const left = missing(queue.labels, values);
  const decide = useAct(() => api.post(path`/queues/items/${row.id}/adjudicate`, { values: answersOf(queue.labels, values) }), () => {
    done();
    return "Decided";
  });
  return (
    <div className="adjudicate">
      <div>
        {row.content ? <ItemContent content={row.content} /> : <p className="muted">What this item was about is no longer stored.</p>}
      </div>
      <div>
        <h2>Answers</h2>
        <Votes queue={queue} row={row} />
        <h2>What holds</h2>
        <Questions labels={queue.labels} letters={queue.labels.map(() => "")} at={at} values={values} keyed={false} suggestion={null} onAt={setAt} onChange={(name, value) => setValues({ ...values, [name]: value })} />
        <div className="actions">
          <button type="button" className="button primary" disabled={!queue.leads || left.length > 0 || decide.isPending} onClick={() => decide.mutate(undefined)}>
            Decide
          </button>
          {!queue.leads && <span className="muted small">Only who leads the queue decides.</span>}
          {queue.leads && left.length > 0 && <span className="muted small">still to answer: {left.join(", ")}</span>}
        </div>
      </div>
    </div>
  );
}
