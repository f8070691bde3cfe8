/** One span in full: what the gateway and the guards did, its messages, attributes and events; read when looked at. */
import { type ReactNode, useState } from "react";
import { path } from "../api/client.ts";
import type { Span, SpanDetail } from "../api/types.ts";
import { program } from "../lib/chat.ts";
import { count, ms, usd } from "../lib/format.ts";
import { verdictsOf } from "../lib/guards.ts";
import { A, stringifySearch, useSearch } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { callOf } from "../lib/replay.ts";
import { uncounted } from "../lib/spans.ts";
import { Badge, Code, Copy, Dialog, Facts, Tabs } from "./bits.tsx";
import { Messages } from "./messages.tsx";
import { Ready } from "./state.tsx";
import { Verdicts } from "./verdicts.tsx";

const text = (value: unknown) => (value == null || value === "" ? null : typeof value === "string" ? value : JSON.stringify(value));

/** What the gateway did with the call of this span; nothing for spans from elsewhere. */
function Handling({ span }: { span: SpanDetail }) {
  const at = (name: string) => text(span.attributes?.[`gateway.${name}`]);
  const cache = at("cache");
  const attempts = at("attempts");
  const items: [string, ReactNode][] = [
    ["Route", span.route],
    ["Arm", at("arm")],
    ["Target", at("target")],
    ["Attempts", attempts && Number(attempts) > 1 ? <span className="bad-ink">{attempts}</span> : attempts],
    ["Hedged with", at("hedged")],
    ["Cache", cache && <Badge value={/^(hit|miss|bypass)$/.test(cache) ? cache : `hit, ${cache}`} tone={{ miss: "plain", bypass: "wait" }[cache] ?? "good"} />],
    ["Status", at("status")],
    ["Caller left", at("caller_left") && "before the end"],
    ["Shadow", at("shadow") && "its answer went nowhere"],
  ];
  if (!at("status") && !at("target")) return null;
  return (
    <>
      <h3>Gateway</h3>
      <Facts items={items} />
    </>
  );
}

function Guarded({ span }: { span: SpanDetail }) {
  const verdicts = verdictsOf(span);
  if (!verdicts.length) return null;
  return (
    <>
      <h3>Guardrails</h3>
      <div className="boxed">
        <Verdicts items={verdicts} label="Guardrail verdicts" narrow />
      </div>
    </>
  );
}

/** What can be done with a model call. */
function Actions({ traceId, span }: { traceId: string; span: SpanDetail }) {
  const [coding, setCoding] = useState(false);
  const call = callOf(span);
  if (!call) return null;
  return (
    <div className="actions span-actions">
      <A className="button small" href={`/playground?from=${traceId}:${span.span_id}`}>
        Open in the playground
      </A>
      {call.messages.length > 0 ? (
        <>
          <button type="button" className="button small" onClick={() => setCoding(true)}>
            Copy as curl
          </button>
          <Dialog open={coding} onClose={() => setCoding(false)} title="This call with curl" wide>
            <Code text={program("curl", window.location.origin, call, {})} label="Program" />
          </Dialog>
        </>
      ) : (
        <span className="muted">Its messages were not kept; its model and settings were.</span>
      )}
    </div>
  );
}

const asText = (v: unknown) => (typeof v === "string" ? v : JSON.stringify(v));

function Attributes({ span }: { span: SpanDetail }) {
  return (
    <>
      <Facts items={[["tags", span.tags.join(", ")], ...Object.entries(span.metadata)]} />
      <Facts items={Object.entries(span.attributes ?? {}).map(([k, value]): [string, string] => [k, typeof value === "string" ? value : JSON.stringify(value)])} />
      {Object.keys(span.attributes ?? {}).length === 0 && <p className="muted">This span has no attributes.</p>}
      {span.events?.length > 0 && (
        <>
          <h3>Events</h3>
          <Facts items={span.events.map((e): [string, string] => [e.name, `+${ms((e.at_ns - span.start_ns) / 1e6)} ${e.attributes && Object.keys(e.attributes).length ? JSON.stringify(e.attributes) : ""}`])} />
        </>
      )}
    </>
  );
}

function Bodies({ traceId, span }: { traceId: string; span: SpanDetail }) {
  return (
    <>
      {span.error && (
        <div className="note bad" role="note">
          {span.error}
        </div>
      )}
      {span.never_searched?.length ? (
        <div className="note" role="note">
          No search looks into {span.never_searched.map((part) => (part === "input" || part === "output" ? `${part} beyond its first 20,000 characters` : part)).join(", ")}.
        </div>
      ) : null}
      <Handling span={span} />
      <Guarded span={span} />
      {span.parameters && Object.keys(span.parameters).length > 0 && <Facts items={Object.entries(span.parameters).map(([name, v]): [string, string] => [name, asText(v)])} />}
      <Actions traceId={traceId} span={span} />
      {span.input == null && span.output == null && <p className="muted">No body was recorded for this span.</p>}
      {span.input != null && (
        <>
          <h3>Input</h3>
          <Messages body={span.input} label="Input" />
        </>
      )}
      {span.output != null && (
        <>
          <h3>Output</h3>
          <Messages body={span.output} label="Output" />
        </>
      )}
    </>
  );
}

const size = (span: Span) => {
  const more = [span.cached_tokens && `${count(span.cached_tokens)} cached`, span.cache_write_tokens && `${count(span.cache_write_tokens)} written to cache`, span.reasoning_tokens && `${count(span.reasoning_tokens)} reasoning`].filter(Boolean);
  return `${count(span.input_tokens)} in · ${count(span.output_tokens)} out${more.length ? ` (${more.join(", ")})` : ""}${span.tokens_estimated ? ", estimated" : ""}`;
};

/** Why a span's figures are in no sum, with the one that counts. */
function Uncounted({ traceId, span, pick }: { traceId: string; span: Span; pick: (id: string) => void }) {
  const why = uncounted(span);
  if (!why) return null;
  const [trace, other] = span.duplicate_of?.split("/") ?? [];
  return (
    <div className="note" role="note">
      Not counted. {why}{" "}
      {other && trace !== traceId && <A href={`/traces/${trace}${stringifySearch({ span: other })}`}>Show the counted one</A>}
      {other && trace === traceId && (
        <button type="button" className="link" onClick={() => pick(other)}>
          Show the counted one
        </button>
      )}
    </div>
  );
}

export function SpanView({ traceId, span: row, pick }: { traceId: string; span: Span; pick: (id: string) => void }) {
  const [search] = useSearch();
  const tab = search.show ?? "messages";
  const detail = useGet<SpanDetail>(path`/traces/${traceId}/spans/${row.span_id}`, undefined, { staleTime: 60_000 });
  const hrefOf = (key: string) => `${window.location.pathname}${stringifySearch({ ...search, show: key === "messages" ? undefined : key })}`;
  // The row of a very large trace does not have every field.
  const span: Span = detail.data ?? row;
  const model = span.kind === "llm" || span.kind === "embedding";
  return (
    <>
      <div className="span-head">
        <h2 className="ellipsis" title={span.name}>
          {span.name}
        </h2>
        <Badge value={span.kind} tone="plain" />
        <Badge value={span.status} />
        <span className="push">
          <Copy text={`${window.location.origin}/traces/${traceId}${stringifySearch({ span: span.span_id, project: search.project })}`} label="Copy link" />
        </span>
      </div>
      <Uncounted traceId={traceId} span={span} pick={pick} />
      <Facts
        items={[
          ["Model", span.model && `${span.model}${span.requested_model && span.requested_model !== span.model ? ` (asked for ${span.requested_model})` : ""}`],
          ["Provider", span.provider],
          ["Latency", ms((span.end_ns - span.start_ns) / 1e6)],
          ["First token", span.ttft_ns != null ? ms(span.ttft_ns / 1e6) : null],
          ["Tokens", model || span.input_tokens || span.output_tokens ? size(span) : null],
          ["Finish", detail.data?.finish_reasons?.join(", ")],
          ["Cost", span.cost_usd != null && (model || span.cost_usd) ? <span title={span.price_version ? `Prices of ${span.price_version}` : undefined}>{usd(span.cost_usd)}</span> : null],
        ]}
      />
      <div className="span-detail">
        <Tabs
          label="Span views"
          current={tab}
          hrefOf={hrefOf}
          items={[
            ["messages", "Messages"],
            ["attributes", "Attributes"],
            ["raw", "Raw"],
          ]}
        />
        <Ready query={detail} rows={5}>
          {(data) => (tab === "raw" ? <Code text={JSON.stringify(data, null, 2)} label="Span as JSON" /> : tab === "attributes" ? <Attributes span={data} /> : <Bodies traceId={traceId} span={data} />)}
        </Ready>
      </div>
    </>
  );
}
