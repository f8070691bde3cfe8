/** What a dataset's rows have to meet, what became of it for a version, and the form that changes it. */
import { useState } from "react";
import { api, path } from "../../api/client.ts";
import type { CheckOutcome, CheckRun, DatasetDetail, Expectations, Page } from "../../api/types.ts";
import { sentence, valueText } from "../../lib/datasets.ts";
import { full } from "../../lib/format.ts";
import { useSearch } from "../../lib/nav.tsx";
import { jsonOf } from "../../lib/prompts.ts";
import { useAct, useGet } from "../../lib/query.ts";
import { Badge, Card, Code, Dialog, Field, When } from "../bits.tsx";
import { DraftForm } from "../draftform.tsx";
import { Ready } from "../state.tsx";

const ACTIONS: [string, string][] = [
  ["fail", "the version is refused"],
  ["quarantine", "the rows are left out"],
  ["warn", "it is only noted"],
];
const EXAMPLE = `[
  {"check": "required", "column": "text"},
  {"check": "unique", "columns": ["id"], "action": "quarantine"},
  {"check": "allowed", "column": "label", "values": ["spam", "ham"]},
  {"check": "missing", "column": "topic", "max": 0.05, "action": "warn"}
]`;

function Outcome({ outcome }: { outcome: CheckOutcome }) {
  return (
    <li className="outcome">
      <svg viewBox="0 0 16 16" className={outcome.met ? "mark good" : "mark bad"} role="img" aria-label={outcome.met ? "met" : "not met"}>
        <path d={outcome.met ? "M3 8.5l3.5 3.5L13 5" : "M4 4l8 8M12 4l-8 8"} />
      </svg>
      <div className="grow">
        <div>
          {sentence(outcome.check)} {!outcome.met && <Badge value={outcome.action} tone={outcome.action === "warn" ? "wait" : "bad"} />}
        </div>
        {!outcome.met && (
          <div className="muted small">
            {outcome.reason || `${full(outcome.failed)} of ${full(outcome.of)} rows do not meet it`}
            {outcome.examples.length > 0 && (
              <details>
                <summary>Examples</summary>
                <ul>
                  {outcome.examples.slice(0, 5).map((e, i) => (
                    <li key={i} className="mono wrap">
                      {valueText(e)}
                    </li>
                  ))}
                </ul>
              </details>
            )}
          </div>
        )}
      </div>
    </li>
  );
}

function Form({ name, now, done }: { name: string; now: Expectations; done: () => void }) {
  const [source, setSource] = useState(now.checks.length ? JSON.stringify(now.checks, null, 2) : "");
  const [enforce, setEnforce] = useState(now.enforce);
  const [hours, setHours] = useState(String(now.every_hours));
  const save = useAct(
    (checks: unknown) => api.put<Expectations>(path`/datasets/${name}/expectations`, { checks, enforce, every_hours: Number(hours) }),
    () => {
      done();
      return "Saved: it holds for every version from now on";
    },
    { quiet: true },
  );
  const read = () => jsonOf("Checks", source, "list") ?? [];
  return (
    <DraftForm read={read} sending={save} action="Save checks">
      <Field label="Checks (JSON)" hint="type, required, unique, range, length, regex, allowed, condition (SQL), columns, missing, rows, freshness">
        {(id) => <textarea id={id} className="mono" rows={10} placeholder={EXAMPLE} value={source} onChange={(e) => setSource(e.target.value)} />}
      </Field>
      <div className="fields">
        <Field label="When one is not met">
          {(id) => (
            <select id={id} value={enforce} onChange={(e) => setEnforce(e.target.value)}>
              {ACTIONS.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Check again every (hours)" hint="0: only when rows come in">
          {(id) => <input id={id} type="number" min={0} step="any" required value={hours} onChange={(e) => setHours(e.target.value)} />}
        </Field>
      </div>
    </DraftForm>
  );
}

function Results({ version }: { version: DatasetDetail }) {
  const results = useGet<Page<CheckRun>>(path`/datasets/${version.dataset}/versions/${version.number}/expectations`);
  const again = useAct(() => api.post(path`/datasets/${version.dataset}/versions/${version.number}/expectations`), "Queued: the result appears here");
  return (
    <Card
      title={`What became of them in version ${version.number}`}
      actions={
        <button type="button" className="button small" disabled={again.isPending} onClick={() => again.mutate(undefined)}>
          Check again
        </button>
      }
    >
      <Ready query={results} rows={4}>
        {(page) =>
          page.items.length ? (
            page.items.map((run) => (
              <section key={run.id} className="check-run" aria-label={`Checked ${run.checked_at}`}>
                <div className="row">
                  <Badge value={run.state} tone={run.outcomes.every((o) => o.met) ? "good" : "bad"} />
                  <span className="muted">
                    <When at={run.checked_at} /> by {run.checked_by}, revision {run.revision}, {full(run.rows)} rows
                    {run.quarantined ? `, ${full(run.quarantined)} left out` : ""}
                  </span>
                </div>
                <ul>
                  {run.outcomes.map((o, i) => (
                    <Outcome key={i} outcome={o} />
                  ))}
                </ul>
              </section>
            ))
          ) : (
            <p className="muted">This version was not checked.</p>
          )
        }
      </Ready>
    </Card>
  );
}

export function Checks({ version }: { version: DatasetDetail }) {
  const [search, patch] = useSearch();
  const now = useGet<Expectations>(path`/datasets/${version.dataset}/expectations`);
  const close = () => patch({ edit: undefined }, { replace: true });
  return (
    <>
      <Card
        title="What rows have to meet"
        actions={
          <button type="button" className="button small" disabled={!now.data} onClick={() => patch({ edit: "checks" })}>
            Change
          </button>
        }
      >
        <Ready query={now} rows={3}>
          {(e) =>
            e.checks.length ? (
              <>
                <ul className="question-list">
                  {e.checks.map((c, i) => (
                    <li key={i}>
                      {sentence(c)} <span className="muted">otherwise {ACTIONS.find(([a]) => a === (c.action ?? e.enforce))?.[1]}</span>
                    </li>
                  ))}
                </ul>
                <p className="muted spaced">
                  Revision {e.revision}, <When at={e.created_at} /> by {e.created_by}
                  {e.every_hours ? `; the newest version is checked every ${e.every_hours} hours` : ""}
                </p>
              </>
            ) : (
              <>
                <p className="muted">Nothing yet: every row that can be read is taken. For example:</p>
                <Code text={EXAMPLE} label="Example" />
              </>
            )
          }
        </Ready>
      </Card>
      <Results version={version} />
      <Dialog open={search.edit === "checks" && !!now.data} onClose={close} title={`What rows of ${version.dataset} have to meet`} wide>
        {now.data && <Form name={version.dataset} now={now.data} done={close} />}
      </Dialog>
    </>
  );
}
