import { createRootRoute, createRoute, createRouter, lazyRouteComponent, type RouteComponent } from "@tanstack/react-router";
import { Shell } from "./components/shell.tsx";
import { Crash, Missing } from "./components/state.tsx";
import { parseSearch, stringifySearch } from "./lib/nav.tsx";

const root = createRootRoute({ component: Shell, notFoundComponent: Missing, errorComponent: Crash });

// Type arguments cannot follow a table of routes; addresses are plain strings here (lib/nav).
const pages: [string, () => Promise<{ default: RouteComponent }>][] = [
  ["/", () => import("./pages/home.tsx")],
  ["/signin", () => import("./pages/signin.tsx")],
  ["/traces", () => import("./pages/traces.tsx")],
  ["/traces/$traceId", () => import("./pages/trace.tsx")],
  ["/traces/$traceId/diff/$other", () => import("./pages/tracediff.tsx")],
  ["/sessions", () => import("./pages/sessions.tsx")],
  ["/sessions/$session", () => import("./pages/session.tsx")],
  ["/users", () => import("./pages/users.tsx")],
  ["/users/$user", () => import("./pages/user.tsx")],
  ["/logs", () => import("./pages/logs.tsx")],
  ["/signals", () => import("./pages/metrics.tsx")],
  ["/dashboards", () => import("./pages/dashboards.tsx")],
  ["/prompts", () => import("./pages/prompts.tsx")],
  ["/prompts/$name", () => import("./pages/prompt.tsx")],
  ["/datasets", () => import("./pages/datasets.tsx")],
  ["/datasets/$name", () => import("./pages/dataset.tsx")],
  ["/training", () => import("./pages/training.tsx")],
  ["/training/new", () => import("./pages/training-new.tsx")],
  ["/training/compare", () => import("./pages/training-compare.tsx")],
  ["/training/searches/$id", () => import("./pages/training-search.tsx")],
  ["/training/$id", () => import("./pages/training-run.tsx")],
  ["/pipelines", () => import("./pages/pipelines.tsx")],
  ["/pipelines/runs/$id", () => import("./pages/pipeline-run.tsx")],
  ["/experiments", () => import("./pages/experiments.tsx")],
  ["/experiments/compare", () => import("./pages/tracked-compare.tsx")],
  ["/experiments/runs/$id", () => import("./pages/tracked-run.tsx")],
  ["/experiments/$id", () => import("./pages/experiment.tsx")],
  ["/evaluations", () => import("./pages/evals.tsx")],
  ["/evaluations/compare", () => import("./pages/compare.tsx")],
  ["/evaluations/optimisations/$id", () => import("./pages/optimisation.tsx")],
  ["/evaluations/$id", () => import("./pages/eval-run.tsx")],
  ["/annotation", () => import("./pages/queues.tsx")],
  ["/annotation/$name", () => import("./pages/queue.tsx")],
  ["/annotation/$name/work", () => import("./pages/annotate.tsx")],
  ["/models", () => import("./pages/models.tsx")],
  ["/models/$name", () => import("./pages/model.tsx")],
  ["/deployments", () => import("./pages/deployments.tsx")],
  ["/deployments/$name", () => import("./pages/deployment.tsx")],
  ["/releases", () => import("./pages/releases.tsx")],
  ["/releases/$id", () => import("./pages/release.tsx")],
  ["/playground", () => import("./pages/playground.tsx")],
  ["/gateway", () => import("./pages/gateway/routes.tsx")],
  ["/gateway/route", () => import("./pages/gateway/route.tsx")],
  ["/gateway/providers", () => import("./pages/gateway/providers.tsx")],
  ["/gateway/keys", () => import("./pages/gateway/keys.tsx")],
  ["/gateway/budgets", () => import("./pages/gateway/budgets.tsx")],
  ["/gateway/spend", () => import("./pages/gateway/spend.tsx")],
  ["/gateway/prices", () => import("./pages/gateway/prices.tsx")],
  ["/gateway/batches", () => import("./pages/gateway/batches.tsx")],
  ["/gateway/cache", () => import("./pages/gateway/cache.tsx")],
  ["/gateway/guardrails", () => import("./pages/gateway/guardrails.tsx")],
  ["/gateway/guardrails/$name", () => import("./pages/gateway/guardrail.tsx")],
  ["/settings", () => import("./pages/settings.tsx")],
];

const routes = pages.map(([path, load]) => createRoute({ getParentRoute: () => root, path, component: lazyRouteComponent(load) }));

export const router = createRouter({
  routeTree: root.addChildren(routes),
  parseSearch,
  stringifySearch,
  defaultPreload: false,
  scrollRestoration: false,
  defaultPendingMs: 200,
});
