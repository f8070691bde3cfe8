import { useState } from "react";
import { api, path } from "../../api/client.ts";
import type { Budget, BudgetAlert, BudgetState, Key, NamedLimits, Page } from "../../api/types.ts";
import { AlertsCard } from "../../components/alerts.tsx";
import { Badge, Card, Dialog, Table, When } from "../../components/bits.tsx";
import { BudgetForm, SubjectFields } from "../../components/budgetform.tsx";
import { Confirm, GatewayPage } from "../../components/gateway.tsx";
import { LimitsForm, limitsText } from "../../components/limitsform.tsx";
import { Empty, Ready } from "../../components/state.tsx";
import { percent, short, usd } from "../../lib/format.ts";
import { A, useSearch } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";

function useNames(): (kind: string, subject: string) => string {
  const keys = useGet<Page<Key>>("/keys", undefined, { staleTime: 30_000 });
  const names = new Map((keys.data?.items ?? []).map((k) => [k.id, k.name]));
  return (kind, subject) => (subject === "*" ? `each ${kind}` : kind === "key" ? `key ${names.get(subject) ?? short(subject)}` : kind === "tenant" ? "everything" : `${kind} ${subject}`);
}

/** Spent, reserved and left as one bar; the figures are beside it. */
function Bar({ state, usd: whole }: { state: BudgetState; usd: number }) {
  const part = (n: number) => `${Math.max(0, Math.min(100, (n / whole) * 100))}%`;
  const used = whole ? state.spent_usd / whole : 0;
  return (
    <div className="budget-bar" role="img" aria-label={`${percent(used)} spent, ${usd(state.reserved_usd)} reserved, ${usd(state.left_usd)} left`}>
      <span className={used >= 1 ? "spent over" : used >= 0.8 ? "spent near" : "spent"} style={{ width: part(state.spent_usd) }} />
      <span className="reserved" style={{ width: part(state.reserved_usd) }} />
    </div>
  );
}

/** What of the spend went beside callers' answers, in words. */
function beside(state: BudgetState): string {
  const parts = Object.entries(state.aside_usd).map(([kind, amount]) => `${kind} ${usd(amount)}`);
  return parts.length ? `of it ${parts.join(", ")}` : "";
}

function Subjects({ budget }: { budget: Budget }) {
  const named = useNames();
  const subjects = useGet<Page<BudgetState>>(path`/budgets/${budget.name}/subjects`, undefined, { every: 5_000 });
  return (
    <Ready query={subjects} rows={4}>
      {(page) =>
        page.items.length ? (
          <Table
            label={`Subjects of ${budget.name}`}
            rows={page.items}
            keyOf={(s) => `${s.subject} ${s.period}`}
            columns={[
              { head: "Whose", cell: (s) => named(budget.kind, s.subject) },
              { head: "Used", cell: (s) => <Bar state={s} usd={budget.usd} />, width: "180px" },
              { head: "Spent", cell: (s) => usd(s.spent_usd), num: true },
              { head: "Reserved", cell: (s) => usd(s.reserved_usd), num: true },
              { head: "Left", cell: (s) => usd(s.left_usd), num: true },
            ]}
          />
        ) : (
          <Empty title="Nobody has spent anything in this period" />
        )
      }
    </Ready>
  );
}

function Budgets({ items, onEdit, onShow }: { items: Budget[]; onEdit: (name: string) => void; onShow: (name: string) => void }) {
  const named = useNames();
  const [going, setGoing] = useState("");
  const remove = useAct((name: string) => api.del(path`/budgets/${name}`), "Budget deleted");
  return (
    <Card title="Budgets" flush>
      <Table
        label="Budgets"
        rows={items}
        keyOf={(b) => b.name}
        columns={[
          { head: "Name", cell: (b) => b.name },
          { head: "For", cell: (b) => named(b.kind, b.subject) },
          { head: "Amount", cell: (b) => <span title={b.period === "total" ? undefined : `Now: ${b.state.period}`}>{`${usd(b.usd)} ${b.period === "total" ? "in total" : `a ${b.period}`}`}</span>, num: true },
          { head: "Used", cell: (b) => <Bar state={b.state} usd={b.usd} />, width: "180px" },
          { head: "Spent", cell: (b) => <span title={[b.subject === "*" ? `The most, by ${b.state.subject}` : "", beside(b.state)].filter(Boolean).join("; ") || undefined}>{usd(b.state.spent_usd)}</span>, num: true },
          { head: "Reserved", cell: (b) => usd(b.state.reserved_usd), num: true },
          { head: "Left", cell: (b) => usd(b.state.left_usd), num: true },
          { head: "At its end", cell: (b) => (b.hard ? b.state.left_usd <= 0 ? <Badge value="refusing" tone="bad" /> : "refuses" : "alerts only") },
          {
            head: "Action",
            cell: (b) => (
              <span className="row">
                {b.subject === "*" && (
                  <button type="button" className="button small" aria-label={`Who spent of ${b.name}`} onClick={() => onShow(b.name)}>
                    Who
                  </button>
                )}
                <button type="button" className="button small" aria-label={`Edit ${b.name}`} onClick={() => onEdit(b.name)}>
                  Edit
                </button>
                <button type="button" className="button small" aria-label={`Delete ${b.name}`} onClick={() => setGoing(b.name)}>
                  Delete
                </button>
              </span>
            ),
          },
        ]}
      />
      <Confirm open={!!going} title={`Delete the budget ${going}?`} act="Delete budget" onYes={() => remove.mutate(going)} onNo={() => setGoing("")}>
        <p>What was counted for it is forgotten; the traces keep what each call cost.</p>
      </Confirm>
    </Card>
  );
}

function LimitRows({ items, onEdit }: { items: NamedLimits[]; onEdit: (rule: NamedLimits) => void }) {
  const named = useNames();
  return (
    <Table
      label="Rate limits"
      rows={items}
      keyOf={(l) => `${l.kind} ${l.subject}`}
      columns={[
        { head: "For", cell: (l) => named(l.kind, l.subject) },
        { head: "Limits", cell: (l) => limitsText(l.limits) },
        { head: "Changed", cell: (l) => <When at={l.updated_at} /> },
        {
          head: "Action",
          cell: (l) => (
            <button type="button" className="button small" aria-label={`Edit the limits of ${named(l.kind, l.subject)}`} onClick={() => onEdit(l)}>
              Edit
            </button>
          ),
        },
      ]}
    />
  );
}

function NewLimits({ onDone }: { onDone: () => void }) {
  const [d, setDraft] = useState({ kind: "route", subject: "" });
  const named = d.subject || d.kind === "tenant" || d.kind === "project";
  const subject = d.subject || (d.kind === "project" || d.kind === "tenant" ? "" : "*");
  return (
    <>
      <div className="fields">
        <SubjectFields kind={d.kind} subject={d.subject} onChange={(change) => setDraft({ ...d, ...change })} />
      </div>
      {named ? <LimitsForm url={path`/limits/${d.kind}/${subject}`} limits={undefined} onDone={onDone} /> : <p className="muted">Choose whom it is for.</p>}
    </>
  );
}

export default function BudgetsPage() {
  const [search, patch] = useSearch();
  const budgets = useGet<Page<Budget>>("/budgets", undefined, { every: 5_000 });
  const limits = useGet<Page<NamedLimits>>("/limits", undefined, { every: 15_000 });
  const alerts = useGet<Page<BudgetAlert>>("/alerts", { limit: 20 }, { every: 15_000 });
  const named = useNames();
  const close = () => patch({ new: undefined, edit: undefined, show: undefined, limit: undefined, subject: undefined }, { replace: true });
  const find = (name: string | undefined) => budgets.data?.items.find((b) => b.name === name);
  const edited = find(search.edit);
  const shown = find(search.show);
  const rule = limits.data?.items.find((l) => l.kind === search.limit && l.subject === search.subject);
  return (
    <GatewayPage
      tab="budgets"
      note="What may be spent, and how fast, by keys, users, routes and projects"
      actions={
        <>
          <A className="button" href="/gateway/budgets?new=limits">
            New limit
          </A>
          <A className="button primary" href="/gateway/budgets?new=budget">
            New budget
          </A>
        </>
      }
    >
      <Ready query={budgets}>
        {(page) =>
          page.items.length ? (
            <Budgets items={page.items} onEdit={(name) => patch({ edit: name })} onShow={(name) => patch({ show: name })} />
          ) : (
            <Empty title="No budgets yet">
              <p className="muted">A budget is an amount of money that a key, user, route or project may spend in a day, a month or ever. Calls reserve what they may cost before they are sent.</p>
            </Empty>
          )
        }
      </Ready>
      <Ready query={alerts} rows={2}>{(page) => <AlertsCard items={page.items} />}</Ready>
      <Ready query={limits} rows={3}>
        {(page) => (
          <Card title="Rate limits" flush>
            {page.items.length ? <LimitRows items={page.items} onEdit={(l) => patch({ limit: l.kind, subject: l.subject })} /> : <p className="pad muted">Nobody is limited yet. Keys have theirs on the page Keys, too.</p>}
          </Card>
        )}
      </Ready>
      <Dialog open={search.new === "budget" || !!edited} onClose={close} title={edited ? `Budget ${edited.name}` : "New budget"}>
        <BudgetForm key={edited?.name ?? ""} budget={edited} onDone={close} />
      </Dialog>
      <Dialog open={!!shown} onClose={close} title={`Who spent of ${shown?.name ?? ""}`} wide>
        {shown && <Subjects budget={shown} />}
      </Dialog>
      <Dialog open={!!rule} onClose={close} title={rule ? `Limits of ${named(rule.kind, rule.subject)}` : ""}>
        {rule && <LimitsForm key={`${rule.kind} ${rule.subject}`} url={path`/limits/${rule.kind}/${rule.subject}`} limits={rule.limits} onDone={close} />}
      </Dialog>
      <Dialog open={search.new === "limits"} onClose={close} title="New limit">
        <NewLimits onDone={close} />
      </Dialog>
    </GatewayPage>
  );
}
