import type { GatewayRoute, Page, TargetHealth, Usage } from "../../api/types.ts";
import { Card, Code, Table } from "../../components/bits.tsx";
import { GatewayPage } from "../../components/gateway.tsx";
import { Targets } from "../../components/health.tsx";
import { dayAgo, Spark } from "../../components/spark.tsx";
import { Empty, Ready } from "../../components/state.tsx";
import { count, usd } from "../../lib/format.ts";
import { A, stringifySearch } from "../../lib/nav.tsx";
import { useGet } from "../../lib/query.ts";
import { healthOf, leavesOf } from "../../lib/routing.ts";

/** Curves are drawn for so many routes; the figures are there for all. */
const DRAWN = 40;
const EXAMPLE = `[providers.openai]
kind = "openai"
base_url = "https://api.openai.com/v1"
api_key = { env = "OPENAI_API_KEY" }

[routes.chat]
strategy = "fallback"
targets = [{ provider = "openai", model = "gpt-5-mini" }]`;

export const routeHref = (name: string, more: Record<string, string> = {}) => `/gateway/route${stringifySearch({ name, ...more })}`;

function List({ routes }: { routes: GatewayRoute[] }) {
  const health = useGet<Page<TargetHealth>>("/gateway/health", undefined, { every: 2_000 });
  const since = dayAgo();
  const usage = useGet<Page<Usage>>("/usage", { group_by: "route", since }, { every: 10_000 });
  const used = new Map((usage.data?.items ?? []).map((u) => [u.group, u]));
  const all = new Map(routes.map((r) => [r.name, r]));
  const drawn = new Set(routes.slice(0, DRAWN).map((r) => r.name));
  return (
    <Card flush>
      {health.error && <p className="pad muted">Health cannot be shown now: {health.error.message}</p>}
      <Table
        label="Routes"
        rows={routes}
        keyOf={(r) => r.name}
        columns={[
          { head: "Model name", cell: (r) => <A href={routeHref(r.name)}>{r.name}</A> },
          { head: "Strategy", cell: (r) => (r.arms.length ? `A/B, ${r.strategy}` : r.strategy) },
          { head: "Targets", cell: (r) => <Targets leaves={leavesOf(r, all)} healthOf={(leaf) => healthOf(leaf, health.data?.items ?? [])} /> },
          { head: "Last 24 h", cell: (r) => (drawn.has(r.name) ? <Spark route={r.name} since={since} /> : "–"), width: "150px" },
          { head: "Calls", cell: (r) => (usage.data ? count(used.get(r.name)?.calls ?? 0) : "…"), num: true },
          { head: "Errors", cell: (r) => (usage.data ? count(used.get(r.name)?.errors ?? 0) : "…"), num: true },
          { head: "Cost", cell: (r) => (usage.data ? usd(used.get(r.name)?.cost_usd ?? 0) : "…"), num: true },
        ]}
      />
    </Card>
  );
}

export default function Routes() {
  const routes = useGet<Page<GatewayRoute>>("/routes", undefined, { every: 10_000 });
  return (
    <GatewayPage
      tab="routes"
      note="The model names that programs use, and where their calls go"
      actions={
        <A className="button primary" href="/gateway/route">
          New route
        </A>
      }
    >
      <Ready query={routes}>
        {(page) =>
          page.items.length ? (
            <List routes={page.items} />
          ) : (
            <Empty title="No routes yet">
              <p className="muted">
                A route is the model name that your programs use; it points at one or more providers. <A href="/gateway/providers">Add a provider</A> first, or write both into a file and run <code>penstock apply</code>:
              </p>
              <Code label="Snippet" text={EXAMPLE} />
            </Empty>
          )
        }
      </Ready>
    </GatewayPage>
  );
}
