/** Moving versions between stages: what stands against it, who must approve, what was done. */
import { useState } from "react";
import { api, path } from "../../api/client.ts";
import type { Me, ModelVersionDetail, Page, StageRequest, StageRule, StageTransition } from "../../api/types.ts";
import { full } from "../../lib/format.ts";
import { A } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";
import { ruleText, STAGES } from "../../lib/registry.ts";
import { Badge, Card, Dialog, Field, Table, When } from "../bits.tsx";
import { Empty, Ready } from "../state.tsx";

function Request({ request, me }: { request: StageRequest; me: Me | undefined }) {
  const [reason, setReason] = useState("");
  const decide = useAct(
    (verb: "approve" | "reject") => api.post<StageRequest>(path`/models/requests/${request.id}/${verb}`, { reason }),
    (after, verb) => (verb === "reject" ? "Turned down" : after?.state === "approved" ? `${request.model}@${request.version} is in ${request.stage}` : "Approved; it waits for somebody else"),
  );
  const own = !!me && request.asked_by === me.name;
  return (
    <li className="request">
      <div className="row">
        <A href={`${path`/models/${request.model}`}?version=${request.version}&tab=stage`}>
          {request.model}@{request.version}
        </A>
        <span>
          from {request.previous} to <b>{request.stage}</b>
        </span>
        <span className="muted push">
          {request.asked_by}, <When at={request.asked_at} />
        </span>
      </div>
      {request.comment && <p>{request.comment}</p>}
      {request.approvals.length > 0 && <p className="muted">{`Approved by ${request.approvals.map((a) => a.by).join(", ")}`}</p>}
      {request.state === "open" ? (
        <div className="row">
          <input className="grow" aria-label={`Reason about ${request.model}@${request.version}`} placeholder="Why, if you like" value={reason} onChange={(e) => setReason(e.target.value)} />
          <button type="button" className="button primary small" disabled={own || decide.isPending} title={own ? "Somebody else must approve what you asked for" : undefined} onClick={() => decide.mutate("approve")}>
            Approve
          </button>
          <button type="button" className="button small" disabled={decide.isPending} onClick={() => decide.mutate("reject")}>
            {own ? "Take back" : "Turn down"}
          </button>
        </div>
      ) : (
        <p className="muted">
          <Badge value={request.state} tone={request.state === "approved" ? "good" : "bad"} /> by {request.decided_by} {request.reason && `: ${request.reason}`}
        </p>
      )}
    </li>
  );
}

export function Requests({ model }: { model?: string }) {
  const requests = useGet<Page<StageRequest>>("/models/requests", { model });
  const me = useGet<Me>("/me", undefined, { staleTime: 60_000 });
  return (
    <Ready query={requests} rows={4}>
      {(page) => {
        const own = model ? page.items.filter((r) => r.model === model) : page.items;
        return own.length ? (
          <Card title="Requests">
            <ul className="requests">
              {own.map((r) => (
                <Request key={r.id} request={r} me={me.data} />
              ))}
            </ul>
          </Card>
        ) : model ? null : (
          <Empty title="Nothing waits for approval">
            <p className="muted">A rule may say that somebody else must approve before a version moves into a stage.</p>
          </Empty>
        );
      }}
    </Ready>
  );
}

/** What stands against moving a version into each other stage. */
const useTransitions = (version: ModelVersionDetail) => useGet<Page<StageTransition>>(path`/models/${version.model}/versions/${version.number}/transitions`, undefined, { staleTime: 5_000 });

function Move({ version, onClose }: { version: ModelVersionDetail; onClose: () => void }) {
  const [stage, setStage] = useState(STAGES.find((s) => s !== version.stage) ?? "staging");
  const [comment, setComment] = useState("");
  const rules = useGet<Page<StageRule>>("/models/stages", undefined, { staleTime: 10_000 });
  const rule = rules.data?.items.find((r) => r.stage === stage && r.model === version.model) ?? rules.data?.items.find((r) => r.stage === stage && !r.model);
  const against = useTransitions(version).data?.items.find((t) => t.stage === stage);
  const move = useAct(
    () => api.put<{ request?: unknown; state?: string }>(path`/models/${version.model}/versions/${version.number}/stage`, { stage, comment }),
    (answer) => {
      onClose();
      return answer?.request ? `Somebody else must approve that ${version.ref} moves to ${stage}` : `${version.ref} is in ${stage}`;
    },
    { quiet: true },
  );
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        move.mutate(undefined);
      }}
    >
      <Field label="Stage" hint={rule ? `It takes: ${ruleText(rule)}.` : "There is no rule for this stage."}>
        {(id) => (
          <select id={id} value={stage} onChange={(e) => setStage(e.target.value)}>
            {STAGES.filter((s) => s !== version.stage).map((s) => (
              <option key={s}>{s}</option>
            ))}
          </select>
        )}
      </Field>
      {against && against.reasons.length > 0 && (
        <div className="note bad">
          {against.reasons.map((r) => (
            <div key={r}>{r}</div>
          ))}
        </div>
      )}
      <Field label="Comment">{(id) => <input id={id} value={comment} onChange={(e) => setComment(e.target.value)} />}</Field>
      {move.error && (
        <div className="note bad" role="alert">
          {move.error.message} {move.error.hint}
        </div>
      )}
      <div className="actions">
        <button type="submit" className="button primary" disabled={move.isPending}>
          {rule?.approvals ? "Ask for the move" : "Move"}
        </button>
      </div>
    </form>
  );
}

export function Stage({ version }: { version: ModelVersionDetail }) {
  const [moving, setMoving] = useState(false);
  const transitions = useTransitions(version);
  const moves = version.stage_history ?? [];
  return (
    <>
      <Card
        title={`In ${version.stage}`}
        actions={
          <button type="button" className="button small" onClick={() => setMoving(true)}>
            Move to a stage
          </button>
        }
      >
        <Ready query={transitions} rows={3}>
          {(page) => (
            <ul className="transitions">
              {page.items.map((t) => (
                <li key={t.stage}>
                  <Badge value={t.stage} tone={t.reasons.length ? "bad" : "good"} />
                  <span>{t.reasons.length ? t.reasons.join(" ") : t.approvals ? `may move, once ${full(t.approvals)} other ${t.approvals === 1 ? "person approves" : "people approve"}` : "may move now"}</span>
                </li>
              ))}
            </ul>
          )}
        </Ready>
        <Dialog open={moving} onClose={() => setMoving(false)} title={`Move ${version.ref}`}>
          <Move version={version} onClose={() => setMoving(false)} />
        </Dialog>
      </Card>
      <Requests model={version.model} />
      {moves.length > 0 && (
        <Card title="What was done" flush>
          <Table
            label="Moves"
            rows={moves}
            keyOf={(m, i) => `${i}${m.at}`}
            columns={[
              { head: "To", cell: (m) => <Badge value={m.stage} /> },
              { head: "From", cell: (m) => m.previous },
              { head: "By", cell: (m) => `${m.actor}${m.approved_by?.length ? `, approved by ${m.approved_by.join(", ")}` : ""}` },
              { head: "Comment", cell: (m) => <span className="wrap">{m.comment}</span> },
              { head: "When", cell: (m) => <When at={m.at} /> },
            ]}
          />
        </Card>
      )}
    </>
  );
}
