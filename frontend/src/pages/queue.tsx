import { useState } from "react";
import { useParams } from "@tanstack/react-router";
import { api, path } from "../api/client.ts";
import type { Annotator, Page, QueueDetail, QueueExport, QueueRow } from "../api/types.ts";
import { Adjudicate, Votes } from "../components/annotate/adjudicate.tsx";
import { AgreementList } from "../components/annotate/agreement.tsx";
import { ItemContent } from "../components/annotate/content.tsx";
import { Badge, Card, Dialog, Facts, Field, PageHead, Table, Tabs, When } from "../components/bits.tsx";
import { Markdown } from "../components/markdown.tsx";
import { Popover } from "../components/popover.tsx";
import { Empty, Failure, Loading, Ready } from "../components/state.tsx";
import { choicesOf, said, votes } from "../lib/annotate.ts";
import { full, plural, short } from "../lib/format.ts";
import { A, useGo, useSearch } from "../lib/nav.tsx";
import { useAct, useGet, usePages } from "../lib/query.ts";
import { KIND_NAMES } from "./queues.tsx";

/** What each person did, and how often the answers that are known were right. */
function People({ people }: { people: Annotator[] }) {
  const golden = people.some((p) => p.gold_asked > 0);
  return (
    <Card title="People" flush>
      <Table
        label="People"
        rows={people}
        keyOf={(p) => p.name}
        columns={[
          { head: "Name", cell: (p) => p.name },
          { head: "Answered", cell: (p) => full(p.answered), num: true },
          { head: "Skipped", cell: (p) => full(p.skipped), num: true },
          ...(golden
            ? [
                {
                  head: "Gold right",
                  num: true,
                  cell: (p: Annotator) => (p.gold_asked ? `${((p.gold_right / p.gold_asked) * 100).toFixed(0)} % of ${full(p.gold_asked)}${p.gold_low != null && p.gold_high != null ? ` (${(p.gold_low * 100).toFixed(0)} to ${(p.gold_high * 100).toFixed(0)} %)` : ""}` : "–"),
                },
              ]
            : []),
        ]}
      />
    </Card>
  );
}

function Overview({ queue }: { queue: QueueDetail }) {
  const { progress: p } = queue;
  return (
    <div className="columns">
      <div>
        <Card title="Progress">
          <progress aria-label="Items done" max={p.items || 1} value={p.done} />
          <Facts
            items={[
              ["Items", full(p.items)],
              ["Done", full(p.done)],
              ["Open", full(p.open)],
              ["With people now", full(p.reserved)],
              ["Skipped", full(p.skipped)],
              ["People differ", p.disputed ? <A href={path`/annotation/${queue.name}` + "?tab=adjudicate"}>{full(p.disputed)}</A> : "0"],
              ["No longer stored", p.gone ? full(p.gone) : null],
              ["People per item", full(queue.overlap)],
              ["Kept for", `${queue.reserve_minutes} min`],
              ["Order", queue.order],
              ["Made", <When at={queue.created_at} />],
            ]}
          />
        </Card>
        <Card title="Questions">
          <ul className="question-list">
            {queue.labels.map((l) => (
              <li key={l.name}>
                <b>{l.name.replace(/_/g, " ")}</b> <span className="muted">{l.type}</span> {l.required && <Badge value="needed" tone="wait" />}
                <div className="muted">{choicesOf(l).map((c) => c.text).join(" · ")}</div>
              </li>
            ))}
          </ul>
        </Card>
      </div>
      <div>
        <Card title="Agreement">
          <AgreementList items={queue.agreement} />
        </Card>
        {queue.people.length > 0 && <People people={queue.people} />}
        <Card title="Guidelines">{queue.guidelines ? <Markdown source={queue.guidelines} /> : <p className="muted">None are written.</p>}</Card>
      </div>
    </div>
  );
}

/** What was answered, in a line: each question's most frequent answer, and how many others there are. */
function summary(queue: QueueDetail, row: QueueRow): string {
  return queue.labels
    .map((l) => {
      if (row.final) return row.final[l.name] == null ? "" : said(l, row.final[l.name]);
      const found = votes(row.work, l.name);
      return found[0] ? `${said(l, found[0].value).slice(0, 60)}${found.length > 1 ? ` (or ${plural(found.length - 1, "other")})` : ""}` : "";
    })
    .filter(Boolean)
    .join(" · ");
}

const STATES = ["open", "reserved", "done", "skipped", "disputed", "adjudicated", "gone", "gold"];
const TONES: Record<string, string> = { done: "good", decided: "good", differ: "bad", gone: "plain", open: "wait" };
const stateOf = (row: QueueRow): string => (row.adjudicated_by ? "decided" : row.state === "done" && row.disagreement > 0 ? "differ" : row.state);

/** One item with its content, which lists do not carry. */
function One({ queue, id, decide, done }: { queue: QueueDetail; id: string; decide: boolean; done: () => void }) {
  const row = useGet<QueueRow>(path`/queues/items/${id}`);
  return (
    <Ready query={row}>
      {(r) =>
        decide ? (
          <Adjudicate key={r.id} queue={queue} row={r} done={done} />
        ) : (
          <>
            {r.content ? <ItemContent content={r.content} /> : <p className="muted">What this item was about is no longer stored.</p>}
            <Votes queue={queue} row={r} />
          </>
        )
      }
    </Ready>
  );
}

function Items({ queue, state, decide }: { queue: QueueDetail; state: string; decide?: boolean }) {
  const [search, patch] = useSearch();
  const items = usePages<Page<QueueRow>>(path`/queues/${queue.name}/items`, { state, limit: 50 });
  if (items.error && !items.data) return <Failure error={items.error} again={() => void items.refetch()} />;
  if (!items.data) return <Loading />;
  const rows = items.data.pages.flatMap((p) => p.items);
  const close = () => patch({ item: undefined }, { replace: true });
  if (!rows.length)
    return decide ? (
      <Empty title="Nobody differs">
        <p className="muted">Items on which people’s answers differ are decided here.</p>
      </Empty>
    ) : (
      <Empty title={state ? `No item is ${state}` : "No items yet"} />
    );
  return (
    <Card flush>
      <ul className="item-list">
        {rows.map((r) => (
          <li key={r.id}>
            <button type="button" onClick={() => patch({ item: r.id }, { replace: true })}>
              <span className="mono">{short(r.id)}</span>
              <span className="ellipsis grow">{summary(queue, r) || <span className="muted">no answer yet</span>}</span>
              <span className="muted nowrap">{plural(r.answers, "answer")}</span>
              <Badge value={stateOf(r)} tone={TONES[stateOf(r)]} />
            </button>
          </li>
        ))}
      </ul>
      {items.hasNextPage && (
        <div className="pad">
          <button type="button" className="button" disabled={items.isFetchingNextPage} onClick={() => void items.fetchNextPage()}>
            Load more
          </button>
        </div>
      )}
      <Dialog open={!!search.item} onClose={close} title={decide ? "Decide" : "Item"} wide>
        {search.item && <One queue={queue} id={search.item} decide={!!decide} done={close} />}
      </Dialog>
    </Card>
  );
}

type ExportKind = "labels" | "sft" | "preference";
const EXPORTS: [ExportKind, string, string][] = [
  ["labels", "Rows with their labels", "Every decided item with its answers, to evaluate with or to train a classifier."],
  ["sft", "Examples to train on", "Conversations with the answer that people wrote or accepted."],
  ["preference", "Preference pairs", "A chosen and a rejected answer for each item, from comparisons and corrections."],
];

function Export({ queue, onClose }: { queue: QueueDetail; onClose: () => void }) {
  const go = useGo();
  const [dataset, setDataset] = useState(queue.name);
  const [kind, setKind] = useState<ExportKind>(queue.kind === "pair" ? "preference" : "labels");
  const make = useAct(
    () => api.post<QueueExport>(path`/queues/${queue.name}/export`, { dataset: dataset.trim(), kind }),
    (made) => {
      onClose();
      go(`/datasets/${encodeURIComponent(made.dataset)}?version=${made.number}`);
      const left = Object.entries(made.skipped).map(([why, n]) => `${full(n)} ${why}`);
      return `${plural(made.rows, "row")} in ${made.dataset}@${made.number}${left.length ? `; left out: ${left.join(", ")}` : ""}`;
    },
    { quiet: true },
  );
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        make.mutate(undefined);
      }}
    >
      <Field label="Dataset" hint="A new version is made; every row keeps the answers and traces it came from.">
        {(id) => <input id={id} required autoFocus value={dataset} onChange={(e) => setDataset(e.target.value)} />}
      </Field>
      <Field label="Rows are" hint={EXPORTS.find(([k]) => k === kind)![2]}>
        {(id) => (
          <select id={id} value={kind} onChange={(e) => setKind(e.target.value as ExportKind)}>
            {EXPORTS.map(([k, name]) => (
              <option key={k} value={k}>
                {name}
              </option>
            ))}
          </select>
        )}
      </Field>
      {make.error && (
        <div className="note bad" role="alert">
          {make.error.message} {make.error.hint}
        </div>
      )}
      <div className="actions">
        <button type="button" className="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" className="button primary" disabled={!dataset.trim() || make.isPending}>
          Make the version
        </button>
      </div>
    </form>
  );
}

/** Have a model of the gateway answer the open items first; people see it as a suggestion. */
function Suggest({ queue, close }: { queue: QueueDetail; close: () => void }) {
  const [model, setModel] = useState("");
  const [votes, setVotes] = useState("1");
  const start = useAct(
    () => api.post<{ job_id: string }>(path`/queues/${queue.name}/suggest`, { model: model.trim(), votes: Number(votes) }),
    () => {
      close();
      return "Suggestions are on their way: they appear as the model answers";
    },
  );
  return (
    <form
      className="pad"
      onSubmit={(e) => {
        e.preventDefault();
        start.mutate(undefined);
      }}
    >
      <Field label="Model" hint="As your programs call it">
        {(id) => <input id={id} className="mono" required value={model} onChange={(e) => setModel(e.target.value)} />}
      </Field>
      <Field label="Answers per item" hint="The share that say the same is the confidence.">
        {(id) => <input id={id} type="number" min={1} max={9} required value={votes} onChange={(e) => setVotes(e.target.value)} />}
      </Field>
      <button type="submit" className="button small primary" disabled={!model.trim() || start.isPending}>
        Suggest answers
      </button>
    </form>
  );
}

function StateFilter() {
  const [search, patch] = useSearch();
  return (
    <div className="filters">
      <label className="row">
        State
        <select value={search.state ?? ""} onChange={(e) => patch({ state: e.target.value }, { replace: true })}>
          <option value="">any</option>
          {STATES.map((s) => (
            <option key={s}>{s}</option>
          ))}
        </select>
      </label>
    </div>
  );
}

export default function QueuePage() {
  const { name = "" } = useParams({ strict: false }) as { name?: string };
  const [search, patch] = useSearch();
  const queue = useGet<QueueDetail>(path`/queues/${name}`, undefined, { every: 10_000 });
  const tab = search.tab ?? "overview";
  const close = () => patch({ export: undefined }, { replace: true });
  return (
    <div className="page">
      <PageHead title={name} crumbs={[["Annotation", "/annotation"]]} note={queue.data && <span className="muted">{KIND_NAMES[queue.data.kind]}</span>}>
        {queue.data?.leads && queue.data.suggestions && (
          <Popover button="Suggest" end>
            {(shut) => <Suggest queue={queue.data} close={shut} />}
          </Popover>
        )}
        <button type="button" className="button" disabled={!queue.data} onClick={() => patch({ export: "1" })}>
          Export…
        </button>
        <A className="button primary" href={path`/annotation/${name}/work`}>
          Annotate
        </A>
      </PageHead>
      <Tabs
        label="Queue views"
        current={tab}
        hrefOf={(k) => path`/annotation/${name}` + (k === "overview" ? "" : `?tab=${k}`)}
        items={[
          ["overview", "Overview"],
          ["items", "Items"],
          ["adjudicate", queue.data?.progress.disputed ? `To decide (${full(queue.data.progress.disputed)})` : "To decide"],
        ]}
      />
      <Ready query={queue}>
        {(q) => (
          <>
            {tab === "overview" && <Overview queue={q} />}
            {tab === "items" && (
              <>
                <StateFilter />
                <Items queue={q} state={search.state ?? ""} />
              </>
            )}
            {tab === "adjudicate" && <Items queue={q} state="disputed" decide />}
            <Dialog open={search.export === "1"} onClose={close} title={`Export ${q.name}`}>
              <Export queue={q} onClose={close} />
            </Dialog>
          </>
        )}
      </Ready>
    </div>
  );
}
