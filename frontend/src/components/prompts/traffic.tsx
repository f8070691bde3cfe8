/** What each version of a prompt did, and which other prompts rely on it. */
import { path } from "../../api/client.ts";
import type { Page, Prompt, PromptUsage, PromptUses } from "../../api/types.ts";
import { figure, full, ms, percent, usd } from "../../lib/format.ts";
import { A, useSearch } from "../../lib/nav.tsx";
import { useGet } from "../../lib/query.ts";
import { windowOf } from "../../lib/time.ts";
import { Card, Table } from "../bits.tsx";
import { Empty, Ready } from "../state.tsx";

const WINDOWS: [string, string][] = [
  ["24h", "last 24 hours"],
  ["7d", "last 7 days"],
  ["30d", "last 30 days"],
  ["all", "all time"],
];

export function Traffic({ prompt }: { prompt: Prompt }) {
  const [search, patch] = useSearch();
  const range = search.range ?? "7d";
  // To the minute, so that one question is asked once.
  const since = windowOf({ range }, Math.floor(Date.now() / 60_000) * 60_000).since;
  const usage = useGet<Page<PromptUsage>>(path`/prompts/${prompt.name}/usage`, { since }, { keep: true });
  return (
    <Card
      title="Traffic by version"
      flush
      actions={
        <select aria-label="Time" value={range} onChange={(e) => patch({ range: e.target.value }, { replace: true })}>
          {WINDOWS.map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      }
    >
      <Ready query={usage} rows={4}>
        {(page) =>
          page.items.length ? (
            <Table
              label="Traffic"
              rows={page.items}
              keyOf={(u) => String(u.version)}
              columns={[
                { head: "Version", cell: (u) => <><A href={path`/prompts/${prompt.name}` + `?version=${u.version}`}>version {u.version}</A> <span className="muted">{u.labels.join(", ")}</span></> },
                { head: "Calls", cell: (u) => <A href={`/traces?query=${encodeURIComponent(`prompt:"${prompt.name}@${u.version}"`)}&range=${range}`}>{full(u.calls)}</A>, num: true },
                { head: "Failed", cell: (u) => (u.calls ? percent(u.errors / u.calls) : "–"), num: true },
                { head: "Cost", cell: (u) => <span title={u.unpriced ? `${full(u.unpriced)} calls have no known price` : undefined}>{`${usd(u.cost_usd)}${u.unpriced ? " +" : ""}`}</span>, num: true },
                { head: "Per call", cell: (u) => (u.calls > u.unpriced ? usd(u.cost_usd / (u.calls - u.unpriced)) : "–"), num: true },
                { head: "Median time", cell: (u) => ms(u.p50_ms), num: true },
                { head: "Score", cell: (u) => <span title={u.scores.map((x) => `${x.name} (${x.origin}): ${figure(x.mean)} of ${full(x.count)}`).join("\n")}>{figure(u.score)}</span>, num: true },
                { head: "Feedback", cell: (u) => figure(u.feedback), num: true },
              ]}
            />
          ) : (
            <Empty title="No calls in this time">
              <p className="muted">Calls are counted when the prompt is fetched by the SDK or named in the request to the gateway.</p>
            </Empty>
          )
        }
      </Ready>
    </Card>
  );
}

function Callers({ uses }: { uses: PromptUses }) {
  return (
    <div className="columns">
      <Card title="Called by" flush>
        {uses.callers.length ? (
          <Table
            label="Who calls it"
            rows={uses.callers}
            keyOf={(c) => `${c.version} ${c.by} ${c.name}`}
            columns={[
              { head: "What", cell: (c) => c.by },
              { head: "Name", cell: (c) => c.name },
              { head: "Version", cell: (c) => c.version, num: true },
              { head: "Calls", cell: (c) => full(c.calls), num: true },
            ]}
          />
        ) : (
          <Empty title="No version with a label is called yet" />
        )}
      </Card>
      <Card title="Made or measured with it" flush>
        {uses.made.length ? (
          <Table
            label="What was made with it"
            rows={uses.made}
            keyOf={(m) => `${m.version} ${m.kind} ${m.ref}`}
            columns={[
              { head: "What", cell: (m) => m.kind.replace(/_/g, " ") },
              { head: "Name", cell: (m) => m.ref, mono: true },
              { head: "Version", cell: (m) => m.version, num: true },
            ]}
          />
        ) : (
          <Empty title="Nothing yet" />
        )}
      </Card>
    </div>
  );
}

export function WhereUsed({ prompt }: { prompt: Prompt }) {
  const uses = useGet<PromptUses>(path`/prompts/${prompt.name}/where-used`);
  return (
    <Ready query={uses} rows={3}>
      {(found) => (
        <>
          <Card title="Included by" flush>
            {found.items.length ? (
              <Table
                label="Prompts that include this one"
                rows={found.items}
                keyOf={(u) => `${u.prompt}@${u.version} ${u.reference}`}
                columns={[
                  { head: "Prompt", cell: (u) => <A href={path`/prompts/${u.prompt}` + `?version=${u.version}`}>{`${u.prompt}@${u.version}`}</A> },
                  { head: "Written as", cell: (u) => u.reference, mono: true },
                  { head: "Its labels", cell: (u) => u.labels.join(", ") || <span className="muted">none: nobody gets it by label</span> },
                ]}
              />
            ) : (
              <Empty title="No other prompt includes it" />
            )}
          </Card>
          <Callers uses={found} />
        </>
      )}
    </Ready>
  );
}
