"""`penstock.instrument` with OpenTelemetry's SDK, and with real instrumentors where they are installed."""

import importlib.util
import json
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace as otel_api
from opentelemetry.sdk.trace import TracerProvider

import penstock
from penstock.sdk import otel, runtime
from penstock.sdk.current import bridge
from tests.fakes.openai import KEY, WORDS, MockUpstream
from tests.sdk.fake_server import FakeServer

INSTALLED = importlib.util.find_spec("openinference") is not None


@pytest.fixture(autouse=True)
def apart() -> Iterator[None]:
    """Leave no hooks behind for other tests."""
    yield
    bridge.attach = bridge.detach = bridge.parent = None
    otel._PROVIDERS.clear()


@pytest.fixture
def provider() -> Iterator[TracerProvider]:
    made = TracerProvider()
    yield made
    made.shutdown()


class _Instrumentor:
    """An instrumentor as OpenTelemetry's base class makes them."""

    is_instrumented_by_opentelemetry = False
    refuses = False

    def instrument(self, **settings: Any) -> None:
        type(self).settings = settings  # type: ignore[attr-defined]
        type(self).is_instrumented_by_opentelemetry = not self.refuses


def _install(monkeypatch: pytest.MonkeyPatch, *, refuses: bool = False) -> type[_Instrumentor]:
    module = types.ModuleType("openinference.instrumentation.dspy")

    class DSPyInstrumentor(_Instrumentor):
        pass

    DSPyInstrumentor.refuses = refuses
    module.DSPyInstrumentor = DSPyInstrumentor  # type: ignore[attr-defined]
    for name in ("openinference", "openinference.instrumentation"):
        if not INSTALLED:
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "openinference.instrumentation.dspy", module)
    return DSPyInstrumentor


def test_spans_of_both_sides_nest_in_one_trace(
    traced: FakeServer, provider: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(monkeypatch)
    assert penstock.instrument("dspy", provider=provider) == ["dspy"]
    tracer = provider.get_tracer("their.library", "1.2")
    with penstock.span("ours", session="s-1", user="ada"), tracer.start_as_current_span("theirs") as theirs:
        theirs.set_attribute("llm.model_name", "m")
        theirs.set_attribute("numbers", [1, 2])
        theirs.add_event("token", {"index": 0})
        with penstock.span("inner"), tracer.start_as_current_span("innermost"):
            pass
        assert penstock.inject()["traceparent"].split("-")[2] == f"{theirs.get_span_context().span_id:016x}"
    with pytest.raises(ValueError, match="broken"), tracer.start_as_current_span("alone"):
        raise ValueError("broken")
    assert penstock.flush()
    spans = {span["name"]: span for span in traced.spans()}
    assert len({spans[name]["traceId"] for name in ("ours", "theirs", "inner", "innermost")}) == 1
    for child, parent in (("theirs", "ours"), ("inner", "theirs"), ("innermost", "inner")):
        assert spans[child]["parentSpanId"] == spans[parent]["spanId"], child
    for name in ("theirs", "inner", "innermost"):
        assert spans[name]["attributes"]["session.id"] == "s-1"
        assert spans[name]["attributes"]["user.id"] == "ada"
    assert spans["theirs"]["attributes"]["numbers"]["values"][1] == {"intValue": "2"}
    assert spans["theirs"]["events"][0]["name"] == "token"
    assert spans["alone"]["status"]["code"] == 2
    assert spans["alone"]["events"][0]["name"] == "exception"
    assert "parentSpanId" not in spans["alone"]
    scopes = {
        scope["scope"]["name"]
        for asked in traced.asked
        for resource in asked.json()["resourceSpans"]
        for scope in resource["scopeSpans"]
    }
    assert scopes == {"penstock", "their.library"}


def test_switching_on_twice_sends_once(
    traced: FakeServer, provider: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = _install(monkeypatch)
    penstock.instrument("dspy", provider=provider)
    assert kind.settings["tracer_provider"] is provider  # type: ignore[attr-defined]
    assert penstock.instrument("dspy", provider=provider) == ["dspy"]
    with provider.get_tracer("t").start_as_current_span("once"):
        pass
    assert penstock.flush()
    assert len(traced.spans()) == 1


def test_masks_see_their_texts_too(
    server: FakeServer, provider: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(monkeypatch)
    server.answer("POST /v1/traces", {})
    runtime.configure(server.url, "psk_1", mask=lambda text: text.replace("4111", "****"))
    penstock.instrument("dspy", provider=provider)
    with provider.get_tracer("t").start_as_current_span("s") as span:
        span.set_attribute("card", "4111")
        span.set_attribute("cards", ["4111"])
        span.add_event("paid", {"with": "4111"})
    assert penstock.flush()
    assert b"4111" not in server.asked[0].body
    runtime.configure(tracing=False)


def test_what_is_missing_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openinference.instrumentation.crewai", None)
    with pytest.raises(penstock.ConfigError) as missing:
        penstock.instrument("crewai")
    assert "pip install opentelemetry-sdk openinference-instrumentation-crewai" in str(missing.value)
    with pytest.raises(penstock.ConfigError, match=r"known are .*langchain"):
        penstock.instrument("no-such-framework")


def test_an_instrumentor_that_refuses_is_an_error(
    traced: FakeServer, provider: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(monkeypatch, refuses=True)
    with pytest.raises(penstock.ConfigError, match="could not be switched on for dspy"):
        penstock.instrument("dspy", provider=provider)
    assert penstock.instrument(provider=provider).count("dspy") == 0


def test_without_opentelemetry_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(penstock.ConfigError, match="pip install opentelemetry-sdk"):
        penstock.instrument("dspy")


def test_sampling_of_the_outer_span_holds_for_theirs(
    server: FakeServer, provider: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(monkeypatch)
    runtime.configure(server.url, "psk_1", sample_rate=0.0)
    penstock.instrument("dspy", provider=provider)
    with penstock.span("ours"), provider.get_tracer("t").start_as_current_span("theirs"):
        pass
    assert penstock.flush()
    assert server.asked == []
    runtime.configure(tracing=False)


def _switched_off(name: str) -> None:
    for module, kind in penstock.sdk.instrument.INSTRUMENTORS[name]:
        if importlib.util.find_spec(module.rpartition(".")[0]) and importlib.util.find_spec(module):
            getattr(importlib.import_module(module), kind)().uninstrument()
            return


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # theirs
def test_a_real_langchain_program(traced: FakeServer, provider: TracerProvider) -> None:
    pytest.importorskip("openinference.instrumentation.langchain")
    runnables = pytest.importorskip("langchain_core.runnables")
    models = pytest.importorskip("langchain_core.language_models.fake_chat_models")
    penstock.instrument("langchain", provider=provider)
    try:
        chain = runnables.RunnableLambda(lambda text: text.upper()) | models.FakeListChatModel(
            responses=["Hi"]
        )
        with penstock.span("outer"):
            assert chain.invoke("hello").content == "Hi"
    finally:
        _switched_off("langchain")
    assert penstock.flush()
    spans = {span["name"]: span for span in traced.spans()}
    assert spans["RunnableSequence"]["parentSpanId"] == spans["outer"]["spanId"]
    assert spans["FakeListChatModel"]["attributes"]["openinference.span.kind"] == "LLM"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # theirs
def test_a_real_llama_index_program(traced: FakeServer, provider: TracerProvider) -> None:
    pytest.importorskip("openinference.instrumentation.llama_index")
    llms = pytest.importorskip("llama_index.core.llms")
    penstock.instrument("llamaindex", provider=provider)
    try:
        with penstock.span("outer"):
            llms.MockLLM().complete("Hello")
    finally:
        _switched_off("llama-index")
    assert penstock.flush()
    spans = {span["name"]: span for span in traced.spans()}
    assert any(span.get("parentSpanId") == spans["outer"]["spanId"] for span in spans.values())
    assert any("MockLLM" in name for name in spans)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # theirs
def test_the_real_openai_instrumentor(traced: FakeServer, provider: TracerProvider) -> None:
    pytest.importorskip("openinference.instrumentation.openai")
    openai = pytest.importorskip("openai")
    penstock.instrument("openai", provider=provider)
    try:
        with MockUpstream() as up, openai.OpenAI(api_key=KEY, base_url=up.base_url) as client:
            client.chat.completions.create(model="plain", messages=[{"role": "user", "content": "Hello"}])
    finally:
        _switched_off("openai")
    assert penstock.flush()
    assert "".join(WORDS) in json.dumps(traced.spans(), ensure_ascii=False)


def test_the_programs_own_provider_is_used(traced: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch)
    own = TracerProvider()
    monkeypatch.setattr(otel_api, "get_tracer_provider", lambda: own)
    penstock.instrument("dspy")
    with own.get_tracer("t").start_as_current_span("theirs"):
        pass
    assert penstock.flush()
    assert traced.spans()[0]["name"] == "theirs"
    own.shutdown()
