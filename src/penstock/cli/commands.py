"""Every command: its name, where it lives, and one line about it. Nothing is imported until it runs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """One command or group of the command line."""

    name: str
    module: str
    """Module with a Typer `app`."""
    help: str
    attribute: str = "app"
    """The Typer app's name in the module."""


COMMANDS = (
    Command("up", "penstock.cli.up", "Start everything: UI, API, gateway and background work."),
    Command(
        "restart", "penstock.cli.restart", "Replace a running server's processes without dropping a request."
    ),
    Command("demo", "penstock.cli.demo", "Play the whole loop offline, from data to a better model."),
    Command("test", "penstock.cli.test", "Run the test suite of a checkout."),
    Command(
        "apply",
        "penstock.cli.apply",
        "Apply a TOML file of providers, routes, limits, budgets, caches, guardrails.",
    ),
    Command("signin", "penstock.cli.signin", "Print a one-time sign-in link for the web UI."),
    Command("keys", "penstock.cli.keys", "API keys: create, list, rotate, revoke."),
    Command("storage", "penstock.cli.storage", "Stored files: delete those that nothing names any more."),
    Command("config", "penstock.cli.config", "Show the settings and where each comes from."),
    Command(
        "prompts", "penstock.prompts.cli", "Versioned prompts: add, label, approve, roll back, render, diff."
    ),
    Command("datasets", "penstock.datasets.cli", "Datasets: ingest files, look at rows, compare, export."),
    Command("providers", "penstock.gateway.cli", "Model providers: list, put, delete, test.", "providers"),
    Command("routes", "penstock.gateway.cli", "Public model names and their targets.", "routes"),
    Command("cache", "penstock.gateway.cache.cli", "Kept answers: which routes, how many, throw away."),
    Command(
        "limits", "penstock.gateway.limits.cli", "Rate limits of keys, users, projects, routes.", "limits"
    ),
    Command(
        "budgets", "penstock.gateway.limits.cli", "Budgets in US dollars: set, list, show, delete.", "budgets"
    ),
    Command("alerts", "penstock.gateway.alerting.cli", "Alerts of budgets: list, send to a webhook, try it."),
    Command("guardrails", "penstock.guardrails.cli", "Guardrails: policies, versions, trying texts, kinds."),
    Command("traces", "penstock.traces.cli", "Traces: list, show, export, usage."),
    Command(
        "subjects", "penstock.cli.subjects", "People and sessions: erase or export everything about one."
    ),
    Command("logs", "penstock.traces.log_cli", "Logs: list what applications sent."),
    Command("metrics", "penstock.traces.metric_cli", "Metrics: list and show what applications sent."),
    Command("prices", "penstock.traces.price_cli", "Prices: the book, the project's own, history, import."),
    Command("evals", "penstock.evals.cli", "Evaluations: run suites, compare runs, decide gates."),
    Command("feedback", "penstock.feedback.cli", "Feedback: give, list, score configs, turn into datasets."),
    Command("queues", "penstock.feedback.queues.cli", "Annotation queues: make, fill, show, answer, export."),
    Command("train", "penstock.training.cli", "Training: run recipes, watch and cancel runs."),
    Command("pipelines", "penstock.pipelines.cli", "Pipelines: run steps written in YAML, list, show."),
    Command("runs", "penstock.cli.runs", "Runs of your own trainers: track a command."),
    Command("models", "penstock.cli.models", "Models: register, list, alias, export, optimise."),
    Command("deploy", "penstock.serving.cli", "Deployments: create, canary, promote, roll back."),
    Command(
        "releases", "penstock.release.cli", "Releases: shadows, canaries, A/B tests, bandits; roll back."
    ),
)
