import { useState } from "react";
import { useParams } from "@tanstack/react-router";
import { api, path } from "../api/client.ts";
import type { ReleaseDetail } from "../api/types.ts";
import { Badge, Card, Dialog, Facts, PageHead, When } from "../components/bits.tsx";
import { Arms, Comparisons, Decisions, Split, Steps } from "../components/releases/parts.tsx";
import { Ready } from "../components/state.tsx";
import { count, percent } from "../lib/format.ts";
import { A } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { armText, judgingText, live, stateText, subjectText, toneOf } from "../lib/releases.ts";
import "../loop.css";

type Verb = "promote" | "pause" | "resume" | "step" | "rollback";
const DONE: Record<Verb, string> = { promote: "Promoted: all traffic goes to the candidate", pause: "Paused: the split stays as it is", resume: "It goes on", step: "One step on", rollback: "Rolled back: all traffic is where it was" };

function Actions({ release }: { release: ReleaseDetail }) {
  const [asking, setAsking] = useState(false);
  const act = useAct(({ verb, body }: { verb: Verb; body?: object }) => api.post(path`/releases/${release.id}/${verb}`, body), (_t, { verb }) => DONE[verb]);
  const on = live(release.state);
  const candidate = release.arms.find((a) => a.name === release.winner) ?? (release.arms.length === 2 ? release.arms[1] : undefined);
  const [arm, setArm] = useState("");
  const route = release.subject.route || release.subject.deployment;
  const wanted = arm || candidate?.name || "";
  return (
    <>
      {route && (
        <A className="button" href={`/traces?route=${encodeURIComponent(route)}`}>
          Traces
        </A>
      )}
      {on && release.step < release.steps.length - 1 && release.state === "running" && (
        <button type="button" className="button" disabled={act.isPending} onClick={() => act.mutate({ verb: "step" })}>
          Next step
        </button>
      )}
      {on && (
        <button type="button" className="button" disabled={act.isPending} onClick={() => act.mutate({ verb: release.state === "paused" ? "resume" : "pause" })}>
          {release.state === "paused" ? "Resume" : "Pause"}
        </button>
      )}
      {on && release.kind !== "shadow" && (
        <button type="button" className="button primary" disabled={act.isPending} onClick={() => setAsking(true)}>
          Promote
        </button>
      )}
      {(on || release.state === "promoted") && (
        <button type="button" className="button danger" disabled={act.isPending} title="At once, without asking" onClick={() => act.mutate({ verb: "rollback" })}>
          Roll back now
        </button>
      )}
      <Dialog open={asking} onClose={() => setAsking(false)} title="Promote?">
        <p>
          The {subjectText(release.subject)} will be <b>{wanted || "the arm you choose"}</b> {armText(release.arms.find((a) => a.name === wanted)?.plan)} for all calls.
        </p>
        {release.arms.length > 2 && (
          <label className="row">
            Arm
            <select value={wanted} onChange={(e) => setArm(e.target.value)}>
              <option value="">Choose…</option>
              {release.arms.map((a) => (
                <option key={a.name}>{a.name}</option>
              ))}
            </select>
          </label>
        )}
        <div className="actions">
          <button type="button" className="button" onClick={() => setAsking(false)}>
            Keep as it is
          </button>
          <button
            type="button"
            className="button primary"
            disabled={!wanted}
            onClick={() => {
              setAsking(false);
              act.mutate({ verb: "promote", body: { arm: wanted } });
            }}
          >
            Promote {wanted}
          </button>
        </div>
      </Dialog>
    </>
  );
}

export default function ReleasePage() {
  const { id = "" } = useParams({ strict: false }) as { id?: string };
  const release = useGet<ReleaseDetail>(path`/releases/${id}`, undefined, { every: (d) => (d && !live(d.state) ? false : 2_000) });
  const r = release.data;
  return (
    <div className="page">
      <PageHead title={r?.name ?? "Release"} crumbs={[["Releases", "/releases"]]} note={r && <Badge value={stateText(r.state)} tone={toneOf(r.state)} />}>
        {r && <Actions release={r} />}
      </PageHead>
      <Ready query={release}>
        {(d) => (
          <>
            <Card title="Traffic" actions={<Steps release={d} />}>
              <Split arms={d.arms} />
              <ul className="legend-list">
                {d.arms.map((a, i) => (
                  <li key={a.name} className="legend">
                    <i style={{ background: `var(--s${i % 10})` }} />
                    {a.name} {percent(a.weight, (a.weight * 100) % 1 ? 1 : 0)}
                  </li>
                ))}
              </ul>
              <div className="spaced">
                <Facts
                  items={[
                    ["Kind", d.kind],
                    ["Of", subjectText(d.subject)],
                    ["Calls", count(d.arms.reduce((n, a) => n + a.calls, 0))],
                    ["Kept by", d.sticky_by],
                    ["At the end", d.kind === "canary" ? (d.auto_promote ? "promotes itself" : "waits for somebody") : null],
                    ["Scored by the suite", d.suite || null],
                    ["Judged", judgingText(d.judging)],
                    ["Wrong stops at most", percent(d.alpha, 0)],
                    ["By", d.author],
                    ["Begun", <When at={d.created_at} />],
                  ]}
                />
              </div>
            </Card>
            <Arms release={d} />
            <Comparisons release={d} />
            <Decisions decisions={d.decisions} />
          </>
        )}
      </Ready>
    </div>
  );
}
