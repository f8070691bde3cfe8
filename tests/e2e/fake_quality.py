"""What the scripted server knows of annotation queues."""

from collections.abc import Callable
from typing import Any

Iso = Callable[[float], str]
Reply = tuple[int, Any]
Json = dict[str, Any]


def question(name: str, kind: str, **more: Any) -> Json:
    usual = {"options": [], "range": None, "required": True, "key": "", "help": ""}
    return {"name": name, "type": kind, **usual, **more}


TONE = question("tone", "categorical", options=["polite", "neutral", "rude"], key="t")
STARS = question("helpfulness", "number", range=[1, 5], key="q", help="5: solves the whole problem")
BETTER_TEXT = question("correction", "correction", required=False, key="w")
BETTER = question("better", "preference")
GUIDELINES = (
    "Read the **last** message first.\n\n"
    "- *polite*: thanks, greets or apologises\n"
    "- *rude*: blames the customer\n\n"
    "When the answer is wrong, write a better one."
)
QUESTIONS = (
    "I was charged twice for the Pro plan. Can you refund one of the two payments?",
    "The app crashes when I open the camera on Android 15.",
    "How do I move my workspace to another region?",
    "Login with single sign-on fails since this morning.",
)
ANSWERS = (
    "I am sorry about that. I refunded the second payment; it takes three to five days.",
    "That is a known problem of version 4.2. Please update to 4.3.",
    "You cannot.",
    "Your administrator must renew the SAML certificate, it ended today.",
)


def missing(detail: str) -> Reply:
    return 404, {"title": "Not found", "status": 404, "detail": detail, "hint": ""}


def trace_item(i: int) -> Json:
    n = i % len(QUESTIONS)
    asked = [
        {"role": "system", "content": "You answer support mail for Acme."},
        {"role": "user", "content": QUESTIONS[n]},
    ]
    values = {"tone": "rude" if n == 2 else "polite", "helpfulness": 1 if n == 2 else 4}
    suggestion = {"values": values, "confidence": {"tone": 0.9}, "model": "judge-1"}
    content = {"messages": asked, "output": ANSWERS[n], "trace_id": f"{i + 1:032x}", "route": "support"}
    content |= {"span_id": "a" * 16, "error": None}
    held = {"id": f"qit_{i}", "kind": "trace", "content": content, "suggestion": suggestion}
    return {**held, "draft": None, "comment": ""}


def pair_item(i: int) -> Json:
    n = i % len(QUESTIONS)
    asked = [{"role": "user", "content": QUESTIONS[n]}]
    content = {"messages": asked, "a": ANSWERS[n], "b": f"Hello! {ANSWERS[n]} Is there anything else?"}
    held = {"id": f"qpr_{i}", "kind": "pair", "content": content, "suggestion": None}
    return {**held, "draft": None, "comment": ""}


def work_of(iso: Iso, who: str, state: str, values: Json | None, comment: str) -> Json:
    done = {"id": f"jdg_{who}", "annotator": who, "state": state, "values": values, "comment": comment}
    none = {"reserved_until": None, "draft": None, "gold_right": None, "saw_suggestion": True}
    return {**done, **none, "item_id": "", "updated_at": iso(600)}


def row_of(iso: Iso, item: Json, state: str, work: list[Json], **more: Any) -> Json:
    row = {"id": item["id"], "state": state, "trace_id": item["content"].get("trace_id", ""), "span_id": ""}
    row |= {"other_trace_id": "", "assigned_to": "", "suggestion": item["suggestion"], "gold": None}
    row |= {"answers": len(work), "disagreement": 0.0, "final": None, "adjudicated_by": ""}
    return {**row, "created_at": iso(9000), "work": work, "content": item["content"], **more}


def split_row(iso: Iso) -> Json:
    said = (("ann", "neutral", 4, ""), ("bob", "rude", 2, "Sounds short to me."), ("cyd", "neutral", 2, ""))
    work = [work_of(iso, who, "answered", {"tone": t, "helpfulness": n}, c) for who, t, n, c in said]
    return row_of(iso, {**trace_item(2), "id": "qit_split"}, "done", work, disagreement=0.6)


class Queue:
    """One queue and where its items are."""

    def __init__(self, iso: Iso, name: str, items: list[Json], labels: list[Json], **more: Any) -> None:
        self._iso = iso
        self.open = items
        self.done: list[Json] = []
        self.extra: list[Json] = []
        usual = {"guidelines": GUIDELINES, "overlap": 2, "reserve_minutes": 30, "order": "fifo"}
        usual |= {"suggestions": True, "leads": True, "created_by": "owner", "gold": [], "gold_every": 10}
        self.body = {"name": name, "labels": labels, "created_at": iso(90_000), **usual, **more}

    def shown(self) -> Json:
        done = len([r for r in self.done if r["state"] == "done"])
        counts = {"items": len(self.open) + len(self.done) + len(self.extra) + 12, "done": done + 12}
        counts |= {"open": len(self.open), "reserved": 1, "skipped": len(self.done) - done, "gone": 0}
        counts["disputed"] = len([r for r in self.extra if not r["adjudicated_by"]])
        return {**self.body, "progress": counts}

    def detail(self) -> Json:
        kinds = {"tone": ("fleiss", 0.71, 0.55, 0.84), "helpfulness": ("alpha", 0.38, 0.1, 0.6)}
        kinds["correction"] = ("same", 0.25, 0.11, 0.47)
        found: list[Json] = []
        for label in self.body["labels"]:
            if label["name"] in kinds:
                kind, value, low, high = kinds[label["name"]]
                found.append(
                    {"label": label["name"], "kind": kind, "value": value, "low": low, "high": high, "n": 24}
                )
        gold = {"gold_asked": 4, "gold_right": 3.5, "gold_low": 0.45, "gold_high": 0.99}
        people = [{"name": n, "answered": 12, "skipped": 1, **gold} for n in ("ann", "bob")]
        return {**self.shown(), "agreement": found, "people": people if found else []}

    def rows(self, state: str) -> list[Json]:
        waiting = [row_of(self._iso, i, "open", []) for i in self.open]
        every = [{**r, "content": None} for r in [*self.extra, *self.done, *waiting]]
        if state == "disputed":
            return [r for r in every if r["disagreement"] > 0 and not r["adjudicated_by"]]
        return [r for r in every if not state or r["state"] == state]

    def one(self, item_id: str) -> Json | None:
        held = [*self.extra, *self.done, *(row_of(self._iso, i, "open", []) for i in self.open)]
        return next((r for r in held if r["id"] == item_id), None)

    def next(self, *, suggestions: bool = True) -> Json:
        if not self.open:
            return {"item": None, "reserved_until": None}
        item = self.open[0] if suggestions else {**self.open[0], "suggestion": None}
        return {"item": item, "reserved_until": self._iso(-1700)}

    def leave(self, item_id: str, state: str, body: Any) -> Reply | None:
        for item in self.open:
            if item["id"] != item_id:
                continue
            self.open.remove(item)
            what = "answered" if state == "done" else "skipped"
            work = work_of(self._iso, "owner", what, body.get("values"), body.get("comment", ""))
            self.done.append(row_of(self._iso, item, state, [work], held=item))
            return 200, work
        return None

    def back(self, item_id: str) -> Reply | None:
        for row in self.done:
            if row["id"] != item_id:
                continue
            self.done.remove(row)
            work = row["work"][0]
            self.open.insert(0, {**row["held"], "draft": work["values"], "comment": work["comment"]})
            return 200, self.next()
        return None


class Queues:
    """What the pages change."""

    def __init__(self, iso: Iso) -> None:
        self._iso = iso
        traces = Queue(
            iso, "support-tone", [trace_item(i) for i in range(24)], [TONE, STARS, BETTER_TEXT], kind="trace"
        )
        traces.extra.append(split_row(iso))
        pairs = Queue(
            iso, "which-is-better", [pair_item(i) for i in range(3)], [BETTER], kind="pair", overlap=1
        )
        self._queues = {"support-tone": traces, "which-is-better": pairs}

    def get(self, parts: list[str], q: dict[str, str], *, empty: bool) -> Any:
        """Return an answer, or None for what is not known here."""
        match parts:
            case ["queues"]:
                return {"items": [] if empty else [x.shown() for x in self._queues.values()], "next": None}
            case ["queues", "items", item]:
                return next((r for x in self._queues.values() if (r := x.one(item))), None)
            case ["queues", name] if name in self._queues:
                return self._queues[name].detail()
            case ["queues", name, "items"] if name in self._queues:
                return {"items": self._queues[name].rows(q.get("state", "")), "next": None}
            case ["score-configs"]:
                config = {"name": "tone", "kind": "categorical", "low": None, "high": None}
                config |= {"options": TONE["options"], "description": "", "updated_at": self._iso(900)}
                return {"items": [] if empty else [config], "next": None}
        return None

    def change(self, method: str, parts: list[str], body: Any) -> Reply | None:
        """Return status and answer, or None for what is not known here."""
        match [method, *parts]:
            case ["POST", "queues"]:
                return self._make(body)
            case ["POST", "queues", name, "next"] if name in self._queues:
                return 200, self._queues[name].next(suggestions=body["suggestions"])
            case ["POST", "queues", name, "items"] if name in self._queues:
                n = len(body.get("trace_ids") or body["pairs"])
                return 201, {"added": n, "known": 0, "skipped": {}}
            case ["POST", "queues", name, "suggest"] if name in self._queues:
                return 202, {"job_id": "job_1"}
            case ["POST", "queues", name, "export"] if name in self._queues:
                done = len([r for r in self._queues[name].done if r["state"] == "done"])
                made = {"id": "dsv_2", "dataset": body["dataset"], "number": 2, "hash": "ab" * 32}
                return 201, {**made, "rows": 12 + done, "skipped": {"without an answer": 3}}
            case [_, "queues", "items", item, *what]:
                return self._item(item, "".join(what), body)
        return None

    def _make(self, body: Any) -> Reply:
        if body["name"] in self._queues:
            problem = {
                "title": "Conflict",
                "status": 409,
                "detail": f"There is a queue {body['name']} already.",
            }
            return 409, {**problem, "hint": "Choose another name."}
        kept = {k: v for k, v in body.items() if k not in ("name", "labels", "source")}
        labels = [question(**{"kind": label.pop("type"), **label}) for label in body["labels"]]
        made = self._queues[body["name"]] = Queue(self._iso, body["name"], [], labels, **kept)
        return 201, {**made.shown(), "added": {"added": 0, "known": 0, "skipped": {}}}

    def _item(self, item: str, what: str, body: Any) -> Reply:
        for queue in self._queues.values():
            if what == "draft":
                for held in (i for i in queue.open if i["id"] == item):
                    held.update(draft=body["values"], comment=body["comment"])
                    return 200, work_of(self._iso, "owner", "reserved", None, body["comment"])
            if what in ("answer", "skip"):
                state = "done" if what == "answer" else "skipped"
                if (reply := queue.leave(item, state, body)) is not None:
                    return reply
            if what == "undo" and (reply := queue.back(item)) is not None:
                return reply
            if what == "adjudicate":
                for row in (r for r in queue.extra if r["id"] == item):
                    row.update(adjudicated_by="owner", final=body["values"])
                    return 200, row
        return missing("There is no such item.")
