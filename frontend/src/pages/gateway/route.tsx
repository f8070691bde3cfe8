import { useState } from "react";
import { api, path } from "../../api/client.ts";
import type { GatewayRoute, Page, TargetHealth } from "../../api/types.ts";
import { Card, Facts, PageHead, Table, When } from "../../components/bits.tsx";
import { Confirm, RangeSelect } from "../../components/gateway.tsx";
import { HealthBadge, leafName } from "../../components/health.tsx";
import { RouteForm } from "../../components/routeform.tsx";
import { Ready } from "../../components/state.tsx";
import { TraceCharts } from "../../components/tracechart.tsx";
import { count, ms, percent, usd } from "../../lib/format.ts";
import { A, useGo, useSearch } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";
import { healthOf, leavesOf, NUMBERS } from "../../lib/routing.ts";
import { routeHref } from "./routes.tsx";

const CRUMBS: [string, string][] = [["Routes", "/gateway"]];

function Live({ route, routes }: { route: GatewayRoute; routes: GatewayRoute[] }) {
  const health = useGet<Page<TargetHealth>>("/gateway/health", undefined, { every: 2_000 });
  const leaves = leavesOf(route, new Map(routes.map((r) => [r.name, r])));
  const rows = leaves.map((leaf) => ({ leaf, health: healthOf(leaf, health.data?.items ?? []) }));
  const figure = (h: TargetHealth | undefined, show: (h: TargetHealth) => string) => (h ? show(h) : "–");
  return (
    <Card title="Targets, live" flush>
      {health.error && <p className="pad muted">Health cannot be shown now: {health.error.message}</p>}
      <Table
        label="Targets"
        rows={rows}
        keyOf={(_, i) => String(i)}
        columns={[
          { head: "Target", cell: ({ leaf }) => leafName(leaf), mono: true },
          { head: "Via", cell: ({ leaf }) => leaf.via.join(" › ") || "–" },
          { head: "Share", cell: ({ leaf }) => (leaf.share === null ? "in order" : percent(leaf.share)), num: true },
          { head: "State", cell: ({ health: h }) => <HealthBadge health={h} /> },
          { head: "In flight", cell: ({ health: h }) => figure(h, (x) => count(x.in_flight)), num: true },
          { head: "Latency", cell: ({ health: h }) => figure(h, (x) => (x.ewma_ms ? ms(x.ewma_ms) : "–")), num: true },
          { head: "Attempts", cell: ({ health: h }) => figure(h, (x) => count(x.requests)), num: true },
          { head: "Failures", cell: ({ health: h }) => figure(h, (x) => count(x.errors)), num: true },
          { head: "Last success", cell: ({ health: h }) => <When at={h?.last_ok_at} /> },
          {
            head: "Last failure",
            cell: ({ health: h }) =>
              h?.last_error ? (
                <span className="ellipsis last-failure" title={h.last_error}>
                  <When at={h.last_error_at} />: {h.last_error}
                </span>
              ) : (
                "–"
              ),
          },
        ]}
      />
    </Card>
  );
}

function Plan({ route }: { route: GatewayRoute }) {
  const set = NUMBERS.filter(([key, , empty]) => route[key] !== empty).map(([key, label]): [string, string] => [label, String(route[key])]);
  const b = route.breaker;
  const { shadow } = route;
  return (
    <Card title="Plan">
      <Facts
        items={[
          ["Strategy", route.strategy],
          ["Stays by", route.strategy === "sticky" || route.arms.length ? route.sticky_by : null],
          ["Arms", route.arms.length ? route.arms.map((a) => `${a.name} × ${a.weight}`).join(", ") : null],
          ...set,
          ["Breaker", b.failures || b.error_rate ? `${[b.failures && `${b.failures} failures in a row`, b.error_rate && `${percent(b.error_rate, 0)} of ${b.min_calls} or more in ${b.window} s`].filter(Boolean).join(", or ")}; rests ${b.seconds} s` : "never opens"],
          ["Copies", shadow ? `${percent(shadow.share, shadow.share < 0.1 ? 1 : 0)} to ${shadow.provider}/${shadow.model}${shadow.usd_per_day === null ? "" : `, ${usd(shadow.usd_per_day)} a day`}` : null],
        ]}
      />
    </Card>
  );
}

function Shown({ route, routes }: { route: GatewayRoute; routes: GatewayRoute[] }) {
  const go = useGo();
  const [going, setGoing] = useState(false);
  const remove = useAct(
    () => api.del(path`/routes/${route.name}`),
    () => {
      go("/gateway");
      return "Route deleted";
    },
  );
  return (
    <div className="page">
      <PageHead title={route.name} crumbs={CRUMBS}>
        <RangeSelect />
        <A className="button" href={`/traces?route=${encodeURIComponent(route.name)}`}>
          Traces
        </A>
        <A className="button" href={`/playground?model=${encodeURIComponent(route.name)}`}>
          Playground
        </A>
        <A className="button" href={routeHref(route.name, { edit: "1" })}>
          Edit
        </A>
        <button type="button" className="button danger" onClick={() => setGoing(true)}>
          Delete
        </button>
      </PageHead>
      <TraceCharts filters={{ route: route.name }} live />
      <Live route={route} routes={routes} />
      <Plan route={route} />
      <Confirm open={going} title={`Delete the route ${route.name}?`} act="Delete route" onYes={() => remove.mutate(undefined)} onNo={() => setGoing(false)}>
        <p>Programs that ask for {route.name} are refused within a second. Its traces stay.</p>
      </Confirm>
    </div>
  );
}

export default function Route() {
  const [search] = useSearch();
  const { name } = search;
  const routes = useGet<Page<GatewayRoute>>("/routes", undefined, { enabled: !!name });
  const route = useGet<GatewayRoute>(path`/routes/${name ?? ""}`, undefined, { enabled: !!name });
  if (!name)
    return (
      <div className="page">
        <PageHead title="New route" crumbs={CRUMBS} />
        <RouteForm route={undefined} back="/gateway" />
      </div>
    );
  if (!route.data)
    return (
      <div className="page">
        <PageHead title={name} crumbs={CRUMBS} />
        <Ready query={route}>{() => null}</Ready>
      </div>
    );
  if (search.edit)
    return (
      <div className="page">
        <PageHead title={`Edit ${name}`} crumbs={[...CRUMBS, [name, routeHref(name)]]} />
        <RouteForm key={name} route={route.data} back={routeHref(name)} />
      </div>
    );
  return <Shown route={route.data} routes={routes.data?.items ?? [route.data]} />;
}
