/** Labels of a prompt: where they point, where they pointed, who must agree, and the way back. */
import { useState } from "react";
import { api, path } from "../../api/client.ts";
import type { LabelMove, LabelRequest, Me, Page, Prompt } from "../../api/types.ts";
import { A } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";
import { Badge, Card, Table, When } from "../bits.tsx";
import { Ready } from "../state.tsx";

type Moved = Prompt | { request: LabelRequest };

/** Point a label at a version; a protected one becomes a request to somebody else. */
export function PointLabel({ prompt, version }: { prompt: Prompt; version: number }) {
  const [label, setLabel] = useState("production");
  const guarded = prompt.protected.includes(label);
  const move = useAct(
    (v: { label: string; version: number }) => api.put<Moved>(path`/prompts/${prompt.name}/labels/${v.label}`, { version: v.version }),
    (made, v) => ("request" in made ? `${v.label} is protected: somebody else must approve that it moves to version ${v.version}` : `${v.label} now points at version ${v.version}`),
  );
  return (
    <form
      className="row"
      onSubmit={(e) => {
        e.preventDefault();
        move.mutate({ label, version });
      }}
    >
      <input aria-label="Label" size={12} value={label} required onChange={(e) => setLabel(e.target.value)} />
      <button type="submit" className="button small" disabled={move.isPending || prompt.labels[label] === version}>
        {guarded ? "Ask to point label here" : "Point label here"}
      </button>
    </form>
  );
}

function Request({ request, mine }: { request: LabelRequest; mine: boolean }) {
  const [reason, setReason] = useState("");
  const decide = useAct(
    (how: "approve" | "reject") => api.post<LabelRequest>(path`/prompts/requests/${request.id}/` + how, { reason }),
    (made) => (made.state === "approved" ? `${made.label} now points at version ${made.version}` : "Turned down"),
  );
  return (
    <li className="request">
      <div>
        <b>{request.label}</b> to <A href={path`/prompts/${request.prompt}` + `?version=${request.version}`}>version {request.version}</A>
        {request.previous != null && <span className="muted"> from version {request.previous}</span>}
      </div>
      <div className="muted small">
        {request.asked_by}, <When at={request.asked_at} />
        {request.note && `: ${request.note}`}
      </div>
      <div className="row">
        <input className="grow" aria-label={`Reason for ${request.label}`} placeholder="reason (optional)" value={reason} onChange={(e) => setReason(e.target.value)} />
        <button type="button" className="button small primary" disabled={mine || decide.isPending} title={mine ? "You asked for this: somebody else must approve it" : undefined} onClick={() => decide.mutate("approve")}>
          Approve
        </button>
        <button type="button" className="button small" disabled={decide.isPending} onClick={() => decide.mutate("reject")}>
          {mine ? "Take back" : "Turn down"}
        </button>
      </div>
    </li>
  );
}

export function Requests({ prompt }: { prompt: Prompt }) {
  const me = useGet<Me>("/me", undefined, { staleTime: 60_000 });
  const requests = useGet<Page<LabelRequest>>(path`/prompts/${prompt.name}/requests`, { state: "open" });
  const open = requests.data?.items ?? [];
  if (!open.length) return null;
  return (
    <Card title="Waiting for approval">
      <ul className="requests">
        {open.map((r) => (
          <Request key={r.id} request={r} mine={r.asker_id === me.data?.id} />
        ))}
      </ul>
    </Card>
  );
}

function One({ prompt, label, version }: { prompt: Prompt; label: string; version: number }) {
  const history = useGet<Page<LabelMove>>(path`/prompts/${prompt.name}/labels/${label}/history`);
  const guarded = prompt.protected.includes(label);
  const back = useAct(
    () => api.post<Prompt>(path`/prompts/${prompt.name}/labels/${label}/rollback`, {}),
    (made) => `${label} points at version ${made.labels[label]} again`,
  );
  const guard = useAct(
    () => (guarded ? api.del<Prompt>(path`/prompts/${prompt.name}/protected/${label}`) : api.put<Prompt>(path`/prompts/${prompt.name}/protected/${label}`)),
    () => (guarded ? `${label} moves freely` : `${label} now moves only with another person’s approval`),
  );
  const last = history.data?.items[0];
  // After a way back the next one leads further back; only the server knows where to.
  const known = last?.kind === "set" ? last.previous : null;
  return (
    <Card
      title={
        <span className="row">
          {label} <Badge value={`version ${version}`} tone="good" /> {guarded && <Badge value="protected" tone="wait" />}
        </span>
      }
      actions={
        label !== "latest" && (
          <>
            <button type="button" className="button small" disabled={!last || (last.kind === "set" && last.previous == null) || back.isPending} onClick={() => back.mutate(undefined)}>
              {known == null ? "Roll back" : `Roll back to version ${known}`}
            </button>
            <button type="button" className="button small" disabled={guard.isPending} onClick={() => guard.mutate(undefined)}>
              {guarded ? "Stop protecting" : "Protect"}
            </button>
          </>
        )
      }
    >
      {label === "latest" ? (
        <p className="muted">Always the newest version.</p>
      ) : (
        <Ready query={history} rows={2}>
          {(page) => (
            <Table
              label={`History of ${label}`}
              rows={page.items}
              keyOf={(m, i) => `${m.at} ${i}`}
              columns={[
                { head: "When", cell: (m) => <When at={m.at} /> },
                { head: "Move", cell: (m) => `${m.kind === "remove" ? "removed from" : m.kind === "rollback" ? "rolled back to" : "to"} version ${m.version}` },
                { head: "From", cell: (m) => (m.previous == null ? "–" : `version ${m.previous}`) },
                { head: "By", cell: (m) => (m.approved_by ? `${m.actor}, approved by ${m.approved_by}` : m.actor) },
                { head: "Why", cell: (m) => <span className="muted">{m.note || "–"}</span> },
              ]}
            />
          )}
        </Ready>
      )}
    </Card>
  );
}

export function LabelList({ prompt }: { prompt: Prompt }) {
  return (
    <>
      <Requests prompt={prompt} />
      {Object.entries(prompt.labels)
        .sort(([a], [b]) => (a === "latest" ? 1 : b === "latest" ? -1 : a.localeCompare(b)))
        .map(([label, version]) => (
          <One key={label} prompt={prompt} label={label} version={version} />
        ))}
    </>
  );
}
