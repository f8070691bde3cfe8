import { useState } from "react";
import { useParams } from "@tanstack/react-router";
import { api, type ApiError, path } from "../../api/client.ts";
import type { GuardKind, GuardPolicy, Page } from "../../api/types.ts";
import { Badge, Card, PageHead, Table, Tabs, When } from "../../components/bits.tsx";
import { RangeSelect } from "../../components/gateway.tsx";
import { GuardForm } from "../../components/guardform.tsx";
import { TryIt } from "../../components/guardtry.tsx";
import { Ready } from "../../components/state.tsx";
import { GuardEvents } from "../../components/verdicts.tsx";
import { blamed, changesOf, policyDraft, type PolicyDraft, problemsOf, rulesOf } from "../../lib/guards.ts";
import { A, useSearch } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";

/** A form as text, to tell whether it was changed; the guards' ids are the form's own. */
const printed = (draft: PolicyDraft) => JSON.stringify(draft, (key, value: unknown) => (key === "id" ? undefined : value));

interface EditorProps {
  name: string;
  base: GuardPolicy | undefined;
  latest: number;
  kinds: GuardKind[];
  onSaved: () => void;
}

function Editor({ name, base, latest, kinds, onSaved }: EditorProps) {
  const [draft, setDraft] = useState<PolicyDraft>(() => policyDraft(base));
  const save = useAct(
    () => api.put<GuardPolicy>(path`/guardrails/${name}`, rulesOf(draft)),
    (made) => {
      onSaved();
      return `Saved as version ${made.number}`;
    },
    { quiet: true },
  );
  const problems = problemsOf(draft);
  const error = save.error as ApiError | null;
  const guilty = error && blamed(draft, error.message);
  const older = base && base.number !== latest;
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
          {older && (
            <div className="note" role="note">
              An older version: saving it makes it the newest again.
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
            <button type="submit" className="button primary" disabled={save.isPending || problems.size > 0 || draft.guards.length === 0 || (!changed && !!base && !older)}>
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
      <TryIt note="Checked by the guards as they stand in the form, saved or not; nothing is sent to a model or written down." subject={() => ({ rules: rulesOf(draft) })} />
    </div>
  );
}

function Versions({ items, current, hrefOf }: { items: GuardPolicy[]; current: number | undefined; hrefOf: (n: number) => string }) {
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
                {v.number === items[0]?.number && <Badge value="in force" tone="good" />}
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

export default function Guardrail() {
  const { name = "" } = useParams({ strict: false }) as { name?: string };
  const [search, patch] = useSearch();
  const kinds = useGet<Page<GuardKind>>("/guardrails/kinds", undefined, { staleTime: 60_000 });
  const versions = useGet<Page<GuardPolicy>>(path`/guardrails/${name}/versions`);
  // A name without versions is a policy that is being made.
  const fresh = versions.error?.status === 404;
  const items = versions.data?.items ?? [];
  const latest = items[0]?.number ?? 0;
  const base = search.version ? items.find((v) => v.number === Number(search.version)) : items[0];
  const tab = fresh ? "guards" : (search.tab ?? "guards");
  const address = `/gateway/guardrails/${encodeURIComponent(name)}`;
  return (
    <div className="page">
      <PageHead title={name} crumbs={[["Guardrails", "/gateway/guardrails"]]} note={items[0]?.description && <span className="muted">{items[0].description}</span>}>
        {tab === "events" && <RangeSelect />}
      </PageHead>
      {!fresh && <Tabs label="Policy" current={tab} items={TABS} hrefOf={(key) => (key === "guards" ? address : `${address}?tab=${key}`)} />}
      <Ready query={kinds}>
        {(known) =>
          fresh ? (
            <Editor key="new" name={name} base={undefined} latest={0} kinds={known.items} onSaved={() => undefined} />
          ) : (
            <Ready query={versions}>
              {() =>
                tab === "versions" ? (
                  <Versions items={items} current={base?.number} hrefOf={(n) => `${address}?version=${n}`} />
                ) : tab === "events" ? (
                  <GuardEvents policy={name} />
                ) : base ? (
                  <Editor key={base.number} name={name} base={base} latest={latest} kinds={known.items} onSaved={() => patch({ version: undefined }, { replace: true })} />
                ) : (
                  <div className="note bad" role="alert">
                    {`There is no version ${search.version}.`}
                  </div>
                )
              }
            </Ready>
          )
        }
      </Ready>
    </div>
  );
}
