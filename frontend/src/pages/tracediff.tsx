import { useParams } from "@tanstack/react-router";
import { path } from "../api/client.ts";
import type { Span, SpanPair, TraceDiff, TraceSummary } from "../api/types.ts";
import { Badge, Card, Facts, PageHead } from "../components/bits.tsx";
import { More } from "../components/more.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { count, figure, ms, plural, usd } from "../lib/format.ts";
import { useKeys } from "../lib/keys.ts";
import { A, useSearch } from "../lib/nav.tsx";
import { usePages } from "../lib/query.ts";
import { clock } from "../lib/time.ts";

/** How a field's value is read. */
function said(field: string, value: unknown): string {
  if (value == null || value === "") return "–";
  if (field.endsWith("_ns") && typeof value === "number") return ms(value / 1e6);
  if (field === "cost_usd" && typeof value === "number") return usd(value);
  if (typeof value === "number") return figure(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** More is worse for these; for everything else a change is just a change. */
const WORSE_UP = /^(duration|latency|ttft|cost|errors|.*tokens)/;

function Delta({ field, from, to }: { field: string; from: unknown; to: unknown }) {
  if (typeof from !== "number" || typeof to !== "number" || from === to) return null;
  const tone = WORSE_UP.test(field) ? (to > from ? "bad" : "good") : "plain";
  return <Badge value={from ? `${to > from ? "+" : "−"}${Math.abs(((to - from) / from) * 100).toFixed(0)} %` : `${to > from ? "+" : "−"}${figure(Math.abs(to - from))}`} tone={tone} />;
}

function Text({ label, steps }: { label: string; steps: SpanPair["texts"][string] | undefined }) {
  if (!steps) return null;
  return (
    <>
      <h3>{label}</h3>
      <div className="diff boxed pad">
        {steps.map(([op, text], i) => (op === "=" ? <span key={i}>{text}</span> : op === "+" ? <ins key={i}>{text}</ins> : <del key={i}>{text}</del>))}
      </div>
    </>
  );
}

function Changes({ pair }: { pair: SpanPair }) {
  // Texts are drawn below, piece by piece.
  const fields = Object.entries(pair.changes).filter(([field]) => !pair.texts[field]);
  if (!fields.length) return null;
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label="Changes">
      <table>
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">Left</th>
            <th scope="col">Right</th>
            <th scope="col">Change</th>
          </tr>
        </thead>
        <tbody>
          {fields.map(([field, [from, to]]) => (
            <tr key={field}>
              <td className="mono">{field}</td>
              <td className={typeof from === "number" ? undefined : "wrap"}>{said(field, from)}</td>
              <td className={typeof to === "number" ? undefined : "wrap"}>{said(field, to)}</td>
              <td>
                <Delta field={field} from={from} to={to} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Side({ title, trace, href }: { title: string; trace: TraceSummary; href: string }) {
  return (
    <Card title={<A href={href}>{`${title}: ${trace.name}`}</A>} actions={<Badge value={trace.status} />}>
      <Facts
        items={[
          ["Started", clock(trace.start_ns / 1e6)],
          ["Took", ms(trace.duration_ms ?? (trace.end_ns - trace.start_ns) / 1e6)],
          ["Model", trace.model],
          ["Calls", count(trace.calls)],
          ["Tokens", `${count(trace.input_tokens)} in · ${count(trace.output_tokens)} out`],
          ["Cost", usd(trace.cost_usd)],
        ]}
      />
    </Card>
  );
}

const keyOf = (p: SpanPair, i: number) => `${p.left?.span_id ?? "-"}:${p.right?.span_id ?? "-"}:${i}`;
const took = (s: Span | null) => (s ? ms((s.end_ns - s.start_ns) / 1e6) : "");

function state(pair: SpanPair): [string, string] {
  if (!pair.left) return ["only right", "good"];
  if (!pair.right) return ["only left", "bad"];
  return Object.keys(pair.changes).length ? ["changed", "wait"] : ["same", "plain"];
}

function Pairs({ pages, total }: { pages: Pages; total: number }) {
  const [search, patch] = useSearch();
  const all = pages.data?.pages.flatMap((p) => p.spans) ?? [];
  const shown = search.all === "1" ? all : all.filter((p) => state(p)[0] !== "same");
  const at = shown.findIndex((p) => `${p.left?.span_id ?? ""}:${p.right?.span_id ?? ""}` === search.pair);
  const current = shown[at] ?? shown[0];
  const pick = (p: SpanPair | undefined) => p && patch({ pair: `${p.left?.span_id ?? ""}:${p.right?.span_id ?? ""}` }, { replace: true });
  const here = shown.indexOf(current!);
  useKeys({ n: () => pick(shown[Math.min(shown.length - 1, here + 1)]), p: () => pick(shown[Math.max(0, here - 1)]) });
  return (
    <div className="columns diff-columns">
      <Card
        title={`${plural(total, "pair")} of spans`}
        flush
        actions={
          <label className="row check">
            <input type="checkbox" checked={search.all === "1"} onChange={(e) => patch({ all: e.target.checked ? "1" : undefined }, { replace: true })} /> Show what is the same
          </label>
        }
      >
        {shown.length ? (
          <ol className="pairs" aria-label="Pairs of spans">
            {shown.map((p, i) => {
              const [text, tone] = state(p);
              return (
                <li key={keyOf(p, i)}>
                  <button type="button" aria-pressed={p === current} onClick={() => pick(p)}>
                    <i className={`dot ${(p.right ?? p.left)!.status === "error" ? "bad" : (p.right ?? p.left)!.kind}`} />
                    <span className="ellipsis grow">{(p.left ?? p.right)!.name}{p.left && p.right && p.left.name !== p.right.name ? ` → ${p.right.name}` : ""}</span>
                    <span className="pair-times">
                      {took(p.left)} {p.left && p.right ? "→" : ""} {took(p.right)}
                    </span>
                    <Badge value={text} tone={tone} />
                  </button>
                </li>
              );
            })}
          </ol>
        ) : (
          <Empty title={pages.hasNextPage ? "The same so far" : "The two traces are the same, span for span"} />
        )}
        <More query={pages} of="pairs" />
      </Card>
      {current && (
        <Card title={(current.left ?? current.right)!.name}>
          <Changes pair={current} />
          <Text label="Input" steps={current.texts.input} />
          <Text label="Output" steps={current.texts.output} />
          {Object.keys(current.changes).length === 0 && current.left && current.right && <p className="muted">The same on both sides.</p>}
        </Card>
      )}
    </div>
  );
}

const useDiff = (left: string, right: string) => usePages<TraceDiff>(path`/traces/${left}/diff/${right}`, { limit: 200 });
type Pages = ReturnType<typeof useDiff>;

export default function TraceDiffPage() {
  const { traceId = "", other = "" } = useParams({ strict: false }) as { traceId?: string; other?: string };
  const pages = useDiff(traceId, other);
  const data = pages.data?.pages[0];
  return (
    <div className="page">
      <PageHead title="Two traces" crumbs={[["Traces", "/traces"]]} note={<span className="mono muted">{`${traceId.slice(0, 8)} → ${other.slice(0, 8)}`}</span>}>
        <A className="button" href={`/traces/${other}/diff/${traceId}`}>
          Swap sides
        </A>
      </PageHead>
      <Ready query={pages as never}>
        {() => data && (
          <>
            <div className="columns">
              <Side title="Left" trace={data.left} href={`/traces/${traceId}`} />
              <Side title="Right" trace={data.right} href={`/traces/${other}`} />
            </div>
            <Pairs pages={pages} total={data.total} />
          </>
        )}
      </Ready>
    </div>
  );
}
