import type { LogLine, Page } from "../api/types.ts";
import { Badge, Card, Code, PageHead, Table } from "../components/bits.tsx";
import { More } from "../components/more.tsx";
import { SearchField } from "../components/searchfield.tsx";
import { Snippets } from "../components/snippets.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { TimeRange } from "../components/timerange.tsx";
import { short } from "../lib/format.ts";
import { A, stringifySearch, useSearch } from "../lib/nav.tsx";
import { usePages } from "../lib/query.ts";
import { saidOf, SEVERITIES, severityName, severityTone } from "../lib/signals.ts";
import { clock, utc, windowOf } from "../lib/time.ts";

const RANGE = "24h";
const CHIPS: [key: string, label: string][] = [
  ["trace", "Trace"],
  ["event", "Event"],
];

function Said({ log }: { log: LogLine }) {
  const { body, attributes, resource, scope } = log;
  return (
    <details className="log">
      <summary>{saidOf(log) || <span className="muted">(nothing but its name)</span>}</summary>
      <Code text={JSON.stringify({ body, attributes, resource, scope }, null, 2)} label={`Record ${log.id}`} max={320} />
    </details>
  );
}

function Filters() {
  const [search, patch] = useSearch();
  return (
    <div className="filters">
      <SearchField label="Text in the record" placeholder="Text in the record" value={search.q ?? ""} onSearch={(q) => patch({ q: q || undefined })} />
      <SearchField label="Service" placeholder="Service" value={search.service ?? ""} onSearch={(service) => patch({ service: service || undefined })} />
      <label className="row">
        Severity
        <select value={search.severity ?? ""} onChange={(e) => patch({ severity: e.target.value || undefined })}>
          <option value="">any</option>
          {SEVERITIES.map(([name, lowest]) => (
            <option key={name} value={lowest}>
              {name === "fatal" ? name : `${name} or worse`}
            </option>
          ))}
        </select>
      </label>
      {CHIPS.filter(([key]) => search[key]).map(([key, label]) => (
        <button key={key} type="button" className="chip" aria-label={`Remove filter ${label.toLowerCase()} ${search[key]}`} onClick={() => patch({ [key]: undefined })}>
          {label} <b>{key === "trace" ? short(search[key]!) : search[key]}</b> <span aria-hidden="true">×</span>
        </button>
      ))}
      <TimeRange fallback={RANGE} />
    </div>
  );
}

const HOW = `# Python: send the log records of an instrumented program too
export OTEL_LOGS_EXPORTER=otlp
export OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED=true`;

function Lines({ rows }: { rows: LogLine[] }) {
  return (
    <Table
      label="Log records"
      rows={rows}
      keyOf={(log) => String(log.id)}
      columns={[
        { head: "When", cell: (log) => <time dateTime={log.at} title={utc(log.at)}>{clock(log.at, true).slice(5)}</time>, width: "150px" },
        { head: "Severity", cell: (log) => (log.severity ? <Badge value={severityName(log.severity)} tone={severityTone(log.severity)} /> : <span className="muted">–</span>), width: "84px" },
        { head: "Service", cell: (log) => log.service ?? <span className="muted">–</span>, width: "130px" },
        { head: "Event", cell: (log) => (log.event ? <A href={`/logs${stringifySearch({ event: log.event })}`} title="Only these events">{log.event}</A> : <span className="muted">–</span>) },
        { head: "Record", cell: (log) => <Said log={log} /> },
        {
          head: "Trace",
          cell: (log) =>
            log.trace_id ? (
              <A href={`/traces/${log.trace_id}${stringifySearch({ span: log.span_id })}`} className="mono" title={log.span_id ? `Span ${log.span_id}` : log.trace_id}>
                {short(log.trace_id)}
              </A>
            ) : (
              <span className="muted">–</span>
            ),
          width: "96px",
        },
      ]}
    />
  );
}

export default function Logs() {
  const [search] = useSearch();
  const asked = { q: search.q, service: search.service, min_severity: search.severity, event: search.event, trace_id: search.trace };
  const every = search.trace && !search.range ? "all" : (search.range ?? RANGE);
  const window = () => windowOf({ ...search, range: every });
  const logs = usePages<Page<LogLine>>("/logs", { ...asked, range: every, since: search.since, until: search.until, limit: 100 }, { now: () => ({ range: undefined, ...window() }), every: search.until ? undefined : 10_000 });
  const rows = logs.data?.pages.flatMap((p) => p.items) ?? [];
  const filtered = Object.values(asked).some(Boolean) || !!(search.range || search.since || search.until);
  return (
    <div className="page">
      <PageHead title="Logs" note={<span className="muted">Records that applications sent by OpenTelemetry</span>} />
      <Filters />
      <Ready query={logs as never}>
        {() =>
          rows.length || logs.hasNextPage ? (
            <Card flush>
              {rows.length ? <Lines rows={rows} /> : <p className="muted pad">None of the newest 20,000 records has this text.</p>}
              <More query={logs} of="records" />
            </Card>
          ) : filtered ? (
            <Empty title="No record matches">
              <A href="/logs" className="button">
                Clear filters
              </A>
            </Empty>
          ) : (
            <Empty title="No log records in the last 24 hours">
              <p className="muted">Programs instrumented with OpenTelemetry send theirs to this address.</p>
              <Snippets extra={HOW} />
            </Empty>
          )
        }
      </Ready>
    </div>
  );
}
