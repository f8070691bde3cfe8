/** Variants of a version: smaller and quicker ones, measured and judged against it. */
import { useState, type InputHTMLAttributes } from "react";
import { api } from "../../api/client.ts";
import type { Optimisation, Page, Variant, VariantMethod, VariantQuality } from "../../api/types.ts";
import { bytes, count, figure, full, ms } from "../../lib/format.ts";
import { A, useSearch } from "../../lib/nav.tsx";
import { COSTS, MEASURING, type Measuring, measuringOf, moreSteps, nameOf, stepsOf, type Cost, valuesOf } from "../../lib/optimise.ts";
import { useAct, useGet } from "../../lib/query.ts";
import { busy } from "../../lib/runs.ts";
import { Badge, Card, Dialog, Field, When } from "../bits.tsx";
import { hrefOf } from "../lineage.tsx";
import { Scatter } from "../scatter.tsx";
import { Empty, Ready } from "../state.tsx";

const written: Record<Cost, (n: number | null) => string> = { tokens_per_s: (n) => (n === null ? "–" : count(n)), first_token_s: (n) => ms(n === null ? null : n * 1000), load_s: (n) => ms(n === null ? null : n * 1000), memory_bytes: bytes, size_bytes: bytes };

function Quality({ quality }: { quality: VariantQuality | null }) {
  if (!quality) return <>–</>;
  const range = quality.low != null && quality.high != null ? `${figure(quality.low)} to ${figure(quality.high)}` : "";
  return (
    <span title={`${quality.metric}${range ? `, 95 % interval ${range}` : ""}, ${full(quality.n)} samples`}>
      {figure(quality.value)} {range && <span className="muted small">({range})</span>}
    </span>
  );
}

function Delta({ quality }: { quality: VariantQuality | null }) {
  if (!quality || quality.delta == null) return <>–</>;
  const range = quality.delta_low != null && quality.delta_high != null ? ` (${figure(quality.delta_low)} to ${figure(quality.delta_high)})` : "";
  return (
    <span className={quality.worse ? "bad-ink" : undefined}>
      {quality.delta > 0 ? "+" : ""}
      {figure(quality.delta)}
      <span className="small">{range}</span>
    </span>
  );
}

function Rows({ variants, chosen, picked }: { variants: Variant[]; chosen: string | null; picked?: string }) {
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label="Variants">
      <table>
        <thead>
          <tr>
            <th scope="col">Variant</th>
            <th scope="col">Quality</th>
            <th scope="col">Against the parent</th>
            <th scope="col">Verdict</th>
            {COSTS.map((c) => (
              <th key={c.key} scope="col" className="num">
                {c.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {variants.map((v, i) => (
            <tr key={i} className={picked === String(i) ? "on" : undefined} aria-current={picked === String(i) ? "true" : undefined}>
              <td>
                <span className="row">
                  {nameOf(v)}
                  {chosen !== null && v.version === chosen && <Badge value="chosen" tone="good" />}
                  {v.state !== "succeeded" && <Badge value={v.state} />}
                </span>
                {v.version && (
                  <A className="small" href={hrefOf("model_version", v.version) ?? "/models"}>
                    {v.version}
                  </A>
                )}
                {v.error && <span className="bad-ink small wrap">{v.error}</span>}
              </td>
              <td>
                <Quality quality={v.quality} />
              </td>
              <td>
                <Delta quality={v.quality} />
              </td>
              <td>{v.position === 0 || !v.quality || v.quality.worse == null ? (
                  "–"
                ) : (
                  <A href={`/evaluations/${v.quality.eval_run}`} title={v.quality.detectable == null ? undefined : `A difference of ${figure(v.quality.detectable)} would have been seen`}>
                    <Badge value={v.quality.worse ? "worse" : "not shown worse"} tone={v.quality.worse ? "bad" : "good"} />
                  </A>
                )}</td>
              {COSTS.map((c) => (
                <td key={c.key} className="num" title={v.provider || undefined}>
                  {written[c.key](v[c.key])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function One({ job }: { job: Optimisation }) {
  const [search, patch] = useSearch();
  const cost = COSTS.find((c) => c.key === search.cost) ?? COSTS[0]!;
  const variants = [job.baseline, ...job.variants];
  const { chosen } = job;
  const quality = job.baseline.quality;
  const dots = variants.flatMap((v, i) => {
    const x = v[cost.key];
    if (x === null || !v.quality) return [];
    return [{ id: String(i), label: nameOf(v), x, y: v.quality.value, low: v.quality.low, high: v.quality.high, tone: chosen !== null && v.version === chosen ? ("chosen" as const) : v.quality.worse ? ("bad" as const) : ("plain" as const) }];
  });
  return (
    <>
      {job.error && (
        <div className="note bad" role="alert">
          {job.error}
        </div>
      )}
      {job.reason && <div className="note">{job.reason}</div>}
      <Card
        title="Quality against cost"
        actions={
          <label className="row small">
            Cost
            <select value={cost.key} onChange={(e) => patch({ cost: e.target.value }, { replace: true })}>
              {COSTS.map((c) => (
                <option key={c.key} value={c.key}>
                  {c.name}
                </option>
              ))}
            </select>
          </label>
        }
      >
        {dots.length ? (
          <Scatter label="Quality against cost" dots={dots} x={{ name: cost.name, direction: cost.direction, log: cost.log, write: (n) => written[cost.key](n) }} y={{ name: quality?.metric.replace(/_/g, " ") ?? "Quality", direction: quality?.higher_is_better === false ? "minimize" : "maximize", write: figure }} line={quality ? { at: quality.value, text: "the parent's quality" } : undefined} picked={search.variant} onPick={(id) => patch({ variant: search.variant === id ? undefined : id }, { replace: true })} />
        ) : (
          <p className="muted">{busy(job.state) ? "Nothing is measured and judged yet." : "Without a suite there is no quality to draw; costs are in the table."}</p>
        )}
      </Card>
      <Card title="Variants" flush>
        <Rows variants={variants} chosen={chosen} picked={search.variant} />
      </Card>
    </>
  );
}

/** A box of the form; a bare number says what it is of. */
function choiceText(method: VariantMethod, value?: string): string {
  if (value === undefined) return "make it";
  return /^\d/.test(value) ? `${method.main.replace(/_/g, " ")} ${value}` : value;
}

function Form({ version, onDone }: { version: string; onDone: (id: string) => void }) {
  const [ticked, setTicked] = useState<string[]>(["gguf:q8_0", "gguf:q4_0"]);
  const [more, setMore] = useState("");
  const [suite, setSuite] = useState("");
  const [typed, setTyped] = useState(MEASURING);
  const [wrong, setWrong] = useState("");
  const methods = useGet<Page<VariantMethod>>("/optimise/methods", undefined, { staleTime: 60_000 });
  const known = methods.data?.items ?? [];
  const start = useAct(
    (body: object) => api.post<Optimisation>("/optimise", body),
    (made) => {
      onDone(made.id);
      return "The variants are being made and measured";
    },
    { quiet: true },
  );
  const toggle = (key: string) => setTicked(ticked.includes(key) ? ticked.filter((t) => t !== key) : [...ticked, key]);
  const submit = () => {
    const written = moreSteps(more);
    const steps = typeof written === "string" ? [] : [...stepsOf(ticked, known), ...written];
    const found = typeof written === "string" ? written : steps.length ? "" : "Choose at least one variant.";
    setWrong(found);
    if (!found) start.mutate({ version, to: steps, ...measuringOf(typed, suite) });
  };
  const number = (label: string, key: Exclude<keyof Measuring, "by" | "metric">, hint: string, more: InputHTMLAttributes<HTMLInputElement>) => (
    <Field label={label} hint={hint}>
      {(id) => <input id={id} type="number" {...more} value={typed[key]} onChange={(e) => setTyped({ ...typed, [key]: e.target.value })} />}
    </Field>
  );
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        submit();
      }}
    >
      <fieldset className="target-rows methods">
        <legend>Variants</legend>
        <Ready query={methods} rows={6}>
          {(page) =>
            page.items.map((m) => (
              <div key={m.name} className="method" title={m.text}>
                <span className="method-name">{m.name}</span>
                <span className="row method-values">
                  {(valuesOf(m).length ? valuesOf(m).map((v) => `${m.name}:${v}`) : [m.name]).map((key) => (
                    <label key={key} className="row small">
                      <input type="checkbox" aria-label={key.replace(":", " ")} checked={ticked.includes(key)} onChange={() => toggle(key)} />
                      {choiceText(m, key.split(":")[1])}
                    </label>
                  ))}
                </span>
              </div>
            ))
          }
        </Ready>
      </fieldset>
      <Field label="More, with their options (JSON)" hint='Such as {"method": "prune", "options": {"structure": "heads", "amount": 0.25, "dataset": "tickets@2"}}'>
        {(id) => <textarea id={id} className="mono" rows={3} value={more} onChange={(e) => setMore(e.target.value)} />}
      </Field>
      <div className="fields">
        <Field label="Judged by the suite" hint="Empty: costs alone, and nothing is chosen">
          {(id) => <input id={id} value={suite} onChange={(e) => setSuite(e.target.value)} />}
        </Field>
        <Field label="Choose by">
          {(id) => (
            <select id={id} value={typed.by} onChange={(e) => setTyped({ ...typed, by: e.target.value as Cost })}>
              {COSTS.map((c) => (
                <option key={c.key} value={c.key}>
                  {c.name}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Quality is the metric" hint="Empty: of the suite's first scorer that is no cost">
          {(id) => <input id={id} value={typed.metric} disabled={!suite.trim()} onChange={(e) => setTyped({ ...typed, metric: e.target.value })} />}
        </Field>
        {number("Margin", "margin", "Worse, too, is what may have lost more; empty: what is shown to have lost", { min: 0, step: "any", disabled: !suite.trim() })}
        {number("Threads", "threads", "CPU threads of each process", { min: 1, max: 256 })}
        {number("Memory (MiB)", "memory", "Most that a process may take, and what is claimed of the machine", { min: 0, placeholder: "no limit" })}
        {number("Priority", "priority", "-100 to 100: who has less waits; above 0 for admins", { min: -100, max: 100 })}
      </div>
      {(wrong || start.error) && (
        <div className="note bad" role="alert">
          {wrong || `${start.error!.message} ${start.error!.hint}`}
        </div>
      )}
      <div className="actions">
        <button type="submit" className="button primary" disabled={start.isPending}>
          Make and measure
        </button>
      </div>
    </form>
  );
}

export function Variants({ version }: { version: string }) {
  const [search, patch] = useSearch();
  const jobs = useGet<Page<Optimisation>>("/optimise", { version }, { every: (d) => (d?.items.some((o) => busy(o.state)) ? 3_000 : false) });
  const id = search.job ?? jobs.data?.items[0]?.id ?? "";
  const job = useGet<Optimisation>(`/optimise/${encodeURIComponent(id)}`, undefined, { enabled: !!id, every: (d) => (busy(d?.state) ? 2_000 : false) });
  const cancel = useAct(() => api.post(`/optimise/${encodeURIComponent(id)}/cancel`), "Asked it to stop; what is measured stays");
  const open = search.optimise === "1";
  return (
    <>
      <div className="filters">
        {(jobs.data?.items.length ?? 0) > 0 && (
          <label className="row">
            Tried
            <select value={id} onChange={(e) => patch({ job: e.target.value, variant: undefined })}>
              {jobs.data!.items.map((o) => (
                <option key={o.id} value={o.id}>
                  {`${o.created_at.slice(0, 16).replace("T", " ")} · ${full(o.variants.length)} variants · ${o.state}`}
                </option>
              ))}
            </select>
          </label>
        )}
        {job.data && (
          <span className="muted row">
            <Badge value={job.data.state} /> {job.data.author}, <When at={job.data.created_at} />
          </span>
        )}
        {job.data && busy(job.data.state) && (
          <button type="button" className="button danger" disabled={cancel.isPending} onClick={() => cancel.mutate(undefined)}>
            Cancel
          </button>
        )}
        <button type="button" className="button push" onClick={() => patch({ optimise: "1" })}>
          Make variants
        </button>
      </div>
      <Ready query={jobs} rows={4}>
        {(page) =>
          page.items.length ? (
            <Ready query={job} rows={6}>
              {(o) => <One job={o} />}
            </Ready>
          ) : (
            <Empty title="No variants were made of this version">
              <p className="muted">Each variant is measured for size, load time, memory and speed, and judged against this version by a suite; the cheapest that is not shown to be worse can be chosen by itself.</p>
            </Empty>
          )
        }
      </Ready>
      <Dialog open={open} onClose={() => patch({ optimise: undefined })} title={`Variants of ${version}`} wide>
        <Form version={version} onDone={(made) => patch({ optimise: undefined, job: made || undefined })} />
      </Dialog>
    </>
  );
}
