import { useContext, useState } from "react";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { api, ApiError, path } from "../../api/client.ts";
import type { GuardKind, GuardPolicy, Page } from "../../api/types.ts";
import { Badge, Card, PageHead, Table, Tabs, When } from "../../components/bits.tsx";
import { RangeSelect } from "../../components/gateway.tsx";
import { GuardForm } from "../../components/guardform.tsx";
import { TryIt } from "../../components/guardtry.tsx";
import { Ready } from "../../components/state.tsx";
import { GuardEvents } from "../../components/verdicts.tsx";
import { blamed, changesOf, policyDraft, type PolicyDraft, problemsOf, rulesOf } from "../../lib/guards.ts";
import { A, ProjectContext, useSearch } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";

/** A form as text, to tell whether it was changed; the guards' ids are the form's own. */
const printed = (draft: PolicyDraft) => JSON.stringify(draft, (key, value: unknown) => (key === "id" ? undefined : value));

interface EditorProps {
  name: string;
  base: GuardPolicy | undefined;
  latest: number;
  /** Whether any version is in force; a policy that was removed has versions, too. */
  held: boolean;
  kinds: GuardKind[];
  onSaved: (made: GuardPolicy) => void;
}

function Editor({ name, base: given, latest, held, kinds, onSaved }: EditorProps) {
  // What somebody else saves meanwhile must not take the form away.
  const [base] = useState(given);
  const [draft, setDraft] = useState<PolicyDraft>(() => policyDraft(base));
  const save = useAct(
    () => api.put<GuardPolicy>(path`/guardrails/${name}`, rulesOf(draft)),
    (made) => {
      onSaved(made);
      return `Saved as version ${made.number}`;
    },
    { quiet: true },
  );
  const problems = problemsOf(draft);
  const error = save.error as ApiError | null;
  const guilty = error && blamed(draft, error.message);
  const older = base && held && base.number !== latest;
  const gone = base && !held;
  const changed = printed(draft) !== printed(policyDraft(base));
  const shown = guilty ? new Map([[guilty, error.message], ...problems]) : problems;
  return (
    <div className="columns editor">
      <Card title={base ? `Version ${base.number}${older ? ` of ${latest}` : ""}` : "First version"}>
        <form
          onSubmit={(e) => {
            e.preventDefault();
            save.mutate(undefined);
          }}
        >
          {gone && (
            <div className="note" role="note">
              This policy was removed: saving it puts it in force again.
            </div>
          )}
          {older && (
            <div className="note" role="note">
              An older version: saving it makes it the newest again. <A href={`/gateway/guardrails/${encodeURIComponent(name)}?version=${latest}`}>{`Version ${latest}`}</A> is in force.
            </div>
          )}
          <GuardForm
            draft={draft}
            kinds={kinds}
            problems={shown}
            error={error}
            onChange={(next) => {
              setDraft(next);
              if (error) save.reset();
            }}
          />
          <div className="actions">
            <button type="submit" className="button primary" disabled={save.isPending || problems.size > 0 || draft.guards.length === 0 || (!changed && !!base && !older && !gone)}>
              {base ? "Save as a new version" : "Save policy"}
            </button>
            {changed && (
              <button
                type="button"
                className="button"
                onClick={() => {
                  setDraft(policyDraft(base));
                  save.reset();
                }}
              >
                Undo changes
              </button>
            )}
          </div>
        </form>
      </Card>
      <TryIt note="Checked by the guards as they stand in the form, saved or not. Those that ask another server do so; else nothing is sent, and nothing is written down." subject={() => ({ rules: rulesOf(draft) })} />
    </div>
  );
}

function Versions({ items, current, held, hrefOf }: { items: GuardPolicy[]; current: number | undefined; held: boolean; hrefOf: (n: number) => string }) {
  return (
    <Card flush>
      <Table
        label="Versions"
        rows={items}
        keyOf={(v) => String(v.number)}
        columns={[
          {
            head: "Version",
            cell: (v) => (
              <span className="row">
                <A href={hrefOf(v.number)}>{`Version ${v.number}`}</A>
                {held && v.number === items[0]?.number && <Badge value="in force" tone="good" />}
                {v.number === current && v.number !== items[0]?.number && <Badge value="in the form" />}
              </span>
            ),
          },
          { head: "Changes", cell: (v) => <span className="wrap">{changesOf(items.find((o) => o.number === v.number - 1), v).join(" · ")}</span> },
          { head: "Guards", cell: (v) => v.guards.length, num: true },
          { head: "By", cell: (v) => v.author },
          { head: "Made", cell: (v) => <When at={v.created_at} /> },
        ]}
      />
    </Card>
  );
}

const TABS: [string, string][] = [
  ["guards", "Guards"],
  ["versions", "Versions"],
  ["events", "Events"],
];

/** Newest first; none for a name that is still free: its policy is being made. */
function useVersions(name: string) {
  const project = useContext(ProjectContext);
  return useQuery<GuardPolicy[], ApiError>({
    queryKey: [project, "guard-versions", name],
    queryFn: async ({ signal }) => {
      try {
        return (await api.get<Page<GuardPolicy>>(path`/guardrails/${name}/versions`, undefined, signal)).items;
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return [];
        throw error;
      }
    },
    staleTime: 2_000,
  });
}

export default function Guardrail() {
  const { name = "" } = useParams({ strict: false }) as { name?: string };
  const [search, patch] = useSearch();
  const kinds = useGet<Page<GuardKind>>("/guardrails/kinds", undefined, { staleTime: 60_000 });
  const versions = useVersions(name);
  const all = useGet<Page<GuardPolicy>>("/guardrails");
  const [last, setSaved] = useState<GuardPolicy>();
  const saved = last?.name === name ? last : undefined;
  const items = versions.data ?? [];
  const held = !!saved || !all.data || all.data.items.some((p) => p.name === name);
  const fresh = !!versions.data && !items.length && !saved;
  const latest = Math.max(items[0]?.number ?? 0, saved?.number ?? 0);
  const base = search.version ? items.find((v) => v.number === Number(search.version)) : (saved ?? items[0]);
  const tab = fresh ? "guards" : (search.tab ?? "guards");
  const address = `/gateway/guardrails/${encodeURIComponent(name)}`;
  return (
    <div className="page">
      <PageHead title={name} crumbs={[["Guardrails", "/gateway/guardrails"]]} note={items[0]?.description && <span className="muted">{items[0].description}</span>}>
        {tab === "events" && <RangeSelect />}
      </PageHead>
      {!fresh && <Tabs label="Policy" current={tab} items={TABS} hrefOf={(key) => (key === "guards" ? address : `${address}?tab=${key}`)} />}
      <Ready query={kinds}>
        {(known) => (
          <Ready query={versions}>
            {() =>
              tab === "versions" ? (
                <Versions items={items} current={base?.number} held={held} hrefOf={(n) => `${address}?version=${n}`} />
              ) : tab === "events" ? (
                <GuardEvents policy={name} />
              ) : base || fresh ? (
                <Editor
                  key={`${name} ${search.version ?? ""} ${saved?.number ?? 0}`}
                  name={name}
                  base={base}
                  latest={latest}
                  held={held}
                  kinds={known.items}
                  onSaved={(made) => {
                    setSaved(made);
                    patch({ version: undefined }, { replace: true });
                  }}
                />
              ) : (
                <div className="note bad" role="alert">
                  {`There is no version ${search.version}.`}
                </div>
              )
            }
          </Ready>
        )}
      </Ready>
    </div>
  );
}
