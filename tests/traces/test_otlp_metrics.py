import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from starlette.testclient import TestClient

from penstock.core import clock
from penstock.core.auth import service as auth
from penstock.core.errors import Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.traces import background, log_service
from penstock.traces.metric_model import MetricPoint, quantile
from penstock.traces.otlp_app import OtlpApp
from tests.traces.otlp_build import any_value
from tests.traces.otlp_client import JSON, PROTOBUF, Answer, post

DELTA, CUMULATIVE = 1, 2
TOKENS, DURATION = "gen_ai.client.token.usage", "gen_ai.client.operation.duration"


@pytest.fixture
def app(home: Home) -> Iterator[OtlpApp]:
    made = OtlpApp(home)
    yield made
    made.close()


@pytest.fixture
def key(home: Home, actor: Actor) -> dict[str, str]:
    with home.begin() as uow:
        return {"x-api-key": auth.create_key(uow, actor, name="sender", role=Role.GATEWAY)[1]}


class Report:
    """One export."""

    def __init__(self, instance: str = "a") -> None:
        self.message = ExportMetricsServiceRequest()
        group = self.message.resource_metrics.add()
        for name, value in (("service.name", "shop"), ("service.instance.id", instance)):
            group.resource.attributes.add(key=name).value.CopyFrom(any_value(value))
        self._scope = group.scope_metrics.add()

    def _labels(self, point: Any, attributes: dict[str, Any]) -> None:
        for name, value in attributes.items():
            point.attributes.add(key=name).value.CopyFrom(any_value(value))

    def histogram(
        self,
        values: list[float],
        *,
        name: str = TOKENS,
        temporality: int = DELTA,
        bounds: tuple[float, ...] = (10, 100, 1000),
        start_ns: int = 1,
        at_ns: int | None = None,
        **attributes: Any,
    ) -> "Report":
        held = self._scope.metrics.add(name=name, unit="{token}").histogram
        held.aggregation_temporality = temporality
        point = held.data_points.add(start_time_unix_nano=start_ns, time_unix_nano=at_ns or clock.now_ns())
        point.count, point.sum = len(values), sum(values)
        point.explicit_bounds.extend(bounds)
        counts = [0] * (len(bounds) + 1)
        for value in values:
            counts[sum(value > bound for bound in bounds)] += 1
        point.bucket_counts.extend(counts)
        if values:
            point.min, point.max = min(values), max(values)
        self._labels(point, {key.replace("__", "."): value for key, value in attributes.items()})
        return self

    def counter(
        self, value: float, *, name: str, temporality: int = CUMULATIVE, at_ns: int, start_ns: int = 5
    ) -> "Report":
        held = self._scope.metrics.add(name=name).sum
        held.aggregation_temporality, held.is_monotonic = temporality, True
        held.data_points.add(start_time_unix_nano=start_ns, time_unix_nano=at_ns, as_double=value)
        return self

    def gauge(self, value: float, *, name: str, at_ns: int) -> "Report":
        held = self._scope.metrics.add(name=name).gauge
        held.data_points.add(time_unix_nano=at_ns, as_double=value)
        return self


def send(app: OtlpApp, key: dict[str, str], report: Report) -> Answer:
    return post(app, report.message.SerializeToString(), PROTOBUF | key, path="/v1/metrics")


def accepted(app: OtlpApp, key: dict[str, str], report: Report) -> None:
    answer = send(app, key, report)
    assert (answer.status, answer.body) == (200, b"")


def read(home: Home, actor: Actor, name: str = TOKENS, by: str = "") -> list[MetricPoint]:
    with home.read() as uow:
        return log_service.metric_points(uow, actor, name=name, by=by)


def test_histograms_add_up_by_hour_and_label(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]
) -> None:
    now = clock.now_ns()
    for number, model in enumerate(["gpt-4o", "gpt-4o", "haiku"]):
        report = Report().histogram(
            [5, 50, 500],
            at_ns=now + number,
            start_ns=now + number - 1,
            gen_ai__response__model=model,
            gen_ai__system="openai",
            user__id=f"person-{number}",
        )
        accepted(app, key, report)
    (point,) = read(home, actor)
    assert (point.count, point.sum, point.low, point.high) == (9, 1665, 5, 500)
    assert point.p50 is not None
    assert 10 <= point.p50 <= 100
    assert [(one.group, one.count) for one in read(home, actor, by="model")] == [("gpt-4o", 6), ("haiku", 3)]
    assert [one.group for one in read(home, actor, by="provider")] == ["openai"]
    with home.read() as uow:
        (name,) = log_service.metric_names(uow, actor)
        with pytest.raises(Invalid):
            log_service.metric_points(uow, actor, name=TOKENS, by="user.id")
        with pytest.raises(NotFound):
            log_service.metric_points(uow, actor, name="gen_ai.other")
    assert (name.name, name.kind, name.unit, name.series) == (TOKENS, "histogram", "{token}", 2)
    assert set(name.labels) == {"model", "provider", "service"}


def test_delta_points_sent_again_count_once(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]
) -> None:
    now = clock.now_ns()
    first, second = (Report().histogram([1], start_ns=now + n, at_ns=now + n + 1) for n in range(2))
    for report in (first, first, second, first, second):
        accepted(app, key, report)
    assert read(home, actor)[0].count == 2


def test_cumulative_points_add_what_is_new(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]
) -> None:
    now = clock.now_ns()

    def grown(values: list[float], at: int, instance: str = "a", start: int = 5) -> Report:
        return Report(instance).histogram(
            values, temporality=CUMULATIVE, start_ns=start, at_ns=now + at, name=DURATION
        )

    accepted(app, key, grown([1, 20], 1))
    accepted(app, key, grown([1, 20], 1))
    accepted(app, key, grown([1, 20, 200], 2))
    accepted(app, key, grown([1, 20], 1))  # late: no news
    accepted(app, key, grown([7], 3, instance="b"))
    accepted(app, key, grown([7, 8], 4, start=6))  # the same resource, another process
    (point,) = read(home, actor, DURATION)
    assert (point.count, point.sum) == (3 + 1 + 2, 221 + 7 + 15)


def test_counters_and_gauges(app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]) -> None:
    now = clock.now_ns()
    name = "gen_ai.client.inference.usage.input_tokens"
    for number, value in enumerate([10, 10, 25, 3]):  # the last: began anew
        accepted(app, key, Report().counter(value, name=name, at_ns=now + number))
    assert read(home, actor, name)[0].sum == 28
    for number, value in enumerate([4, 6]):
        accepted(app, key, Report().gauge(value, name="gen_ai.server.queue", at_ns=now + number))
    (point,) = read(home, actor, "gen_ai.server.queue")
    assert (point.count, point.sum, point.low, point.high) == (2, 10, 4, 6)


def test_exponential_histograms(app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]) -> None:
    report = Report()
    held = report._scope.metrics.add(name=DURATION, unit="s").exponential_histogram
    held.aggregation_temporality = DELTA
    point = held.data_points.add(time_unix_nano=clock.now_ns(), count=111, sum=420.0, scale=5, zero_count=1)
    values = [0.5 + 0.1 * n for n in range(110)]
    for value in values:
        index = math.ceil(math.log2(value) * 32) - 1
        if not point.positive.bucket_counts:
            point.positive.offset = index
        while len(point.positive.bucket_counts) <= index - point.positive.offset:
            point.positive.bucket_counts.append(0)
        point.positive.bucket_counts[index - point.positive.offset] += 1
    accepted(app, key, report)
    (found,) = read(home, actor, DURATION)
    assert found.count == 111
    assert found.p50 == pytest.approx(values[55], rel=0.2)
    assert found.p99 == pytest.approx(values[108], rel=0.2)


def broken(report: Report, **fields: Any) -> Report:
    point = report.message.resource_metrics[0].scope_metrics[0].metrics[0].histogram.data_points[0]
    for name, value in fields.items():
        setattr(point, name, value)
    return report


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Report().histogram([1], name="http.server.duration"), "generative AI"),
        (lambda: broken(Report().histogram([1]), count=7), "add up"),
        (lambda: broken(Report().histogram([1]), sum=math.nan), "finite"),
        (lambda: broken(Report().histogram([1]), time_unix_nano=0), "time"),
        (lambda: broken(Report().histogram([1]), time_unix_nano=2**63), "time"),
        (lambda: Report().histogram([1], bounds=(5, 5)), "rise"),
        (lambda: Report().counter(-1, name="gen_ai.x", at_ns=clock.now_ns()), "negative"),
        (lambda: Report().gauge(math.inf, name="gen_ai.x", at_ns=clock.now_ns()), "finite"),
    ],
)
def test_what_cannot_be_is_rejected_alone(
    app: OtlpApp, home: Home, actor: Actor, key: dict[str, str], make: Callable[[], Report], why: str
) -> None:
    report = make()
    report.histogram([1, 2])
    answer = post(app, MessageToJson(report.message).encode(), JSON | key, path="/v1/metrics")
    told = json.loads(answer.body)["partialSuccess"]
    assert (answer.status, told["rejectedDataPoints"]) == (200, "1")
    assert why in told["errorMessage"]
    assert read(home, actor)[0].count == 2


def test_series_are_bounded(
    home: Home, actor: Actor, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_TRACES__METRIC_SERIES", "3")
    with Home.open(home.path) as limited:
        app = OtlpApp(limited)
        report = Report()
        for number in range(6):
            report.histogram([1], gen_ai__response__model=f"model-{number}")
        for _ in range(2):
            answer = post(app, MessageToJson(report.message).encode(), JSON | key, path="/v1/metrics")
            told = json.loads(answer.body)["partialSuccess"]
            assert told["rejectedDataPoints"] == "3"
            assert "metric_series" in told["errorMessage"]
        app.close()
    assert sum(point.count for point in read(home, actor)) == 3


def test_old_hours_go(app: OtlpApp, home: Home, actor: Actor, key: dict[str, str]) -> None:
    now = clock.now_ns()
    long_ago = now - 401 * 86_400 * 10**9
    accepted(app, key, Report().histogram([1], at_ns=long_ago, name="gen_ai.old"))
    accepted(app, key, Report().histogram([1], at_ns=now))
    background.tick(home)
    with home.read() as uow:
        assert [one.name for one in log_service.metric_names(uow, actor)] == [TOKENS]


def test_quantiles_interpolate() -> None:
    buckets = {10.0: 50, 20.0: 50}
    assert quantile(buckets, 0.5, 0.0, 20.0) == pytest.approx(10)
    assert quantile(buckets, 0.75, 0.0, 20.0) == pytest.approx(15)
    assert quantile({math.inf: 4}, 0.5, None, None) == 0.0
    assert quantile({5.0: 1, math.inf: 99}, 0.99, None, None) == 5.0
    assert quantile({}, 0.5, None, None) is None


def test_http(client: TestClient, home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        secret = auth.create_key(uow, actor, name="sender")[1]
    body = Report().histogram([5, 50], gen_ai__token__type="input").message.SerializeToString()
    sent = client.post("/v1/metrics", content=body, headers=PROTOBUF | {"x-api-key": secret})
    assert sent.status_code == 200
    (name,) = client.get("/api/v1/metrics/otlp").json()["items"]
    assert name["name"] == TOKENS
    (point,) = client.get(f"/api/v1/metrics/otlp/{TOKENS}", params={"by": "token_type"}).json()["items"]
    assert (point["group"], point["count"], point["sum"]) == ("input", 2, 55)
    assert client.get("/api/v1/metrics/otlp/none").status_code == 404
    assert client.get(f"/api/v1/metrics/otlp/{TOKENS}", params={"by": "x"}).status_code == 422
