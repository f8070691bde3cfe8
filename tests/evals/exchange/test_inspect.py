"""Inspect logs: written by the real package, written by us, broken by chance."""

import io
import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import Invalid
from penstock.evals.exchange import inspect_export, inspect_log
from penstock.evals.exchange.inspect_archive import read_archive
from penstock.evals.model import EvalRun, Metric, MetricKind, Output, RunState, SampleResult

REAL = Path(__file__).parent / "inspect-0.3.285.eval"
"""Three questions in two epochs, scored by match and includes; written by inspect_ai 0.3.285 (Zstandard)."""


def test_a_log_of_the_real_package() -> None:
    read = inspect_log.read(REAL.read_bytes())
    assert (read.suite, read.model, read.dataset) == ("tiny", "mockllm/model", "tiny")
    assert sorted(sample.id for sample in read.samples) == ["a#e1", "a#e2", "b#e1", "b#e2", "c#e1", "c#e2"]
    by_id = {sample.id: sample for sample in read.samples}
    right = by_id["a#e1"]
    assert (right.references, right.messages) == (("4",), ({"role": "user", "content": "2+2?"},))
    scored = {name: (sample.text, dict(sample.scores)) for name, sample in by_id.items()}
    assert scored["a#e1"] == ("4", {"match": 1.0, "includes": 1.0})
    assert scored["b#e2"] == ("It is Lima", {"match": 1.0, "includes": 1.0})
    assert scored["c#e1"] == ("8", {"match": 0.0, "includes": 0.0})
    assert read.metrics()["match"] == {"kind": "proportion", "higher_is_better": True, "unit": "fraction"}


def damaged(change: Any) -> bytes:
    content = bytearray(REAL.read_bytes())
    change(content)
    return bytes(content)


def test_damaged_archives_are_refused() -> None:
    at = REAL.read_bytes().rfind(
        b"\x28\xb5\x2f\xfd"
    )  # the magic number of the last Zstandard frame: header.json
    assert at > 0

    def flip(content: bytearray) -> None:
        content[at : at + 4] = b"\0\0\0\0"

    for broken in (damaged(flip), REAL.read_bytes()[:-60], b"PK\x03\x04", b"", b"[]", b'{"eval": 1}'):
        with pytest.raises(Invalid):
            inspect_log.read(broken)


def test_an_archive_without_header_or_samples() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("samples/a_epoch_1.json", "{}")
    with pytest.raises(Invalid, match="no header"):
        read_archive(buffer.getvalue())
    with pytest.raises(Invalid, match="no samples"):
        inspect_log.read(b'{"eval": {"task": "t"}, "samples": []}')


SCORES = {
    "m": {"value": {"a": "C", "b": [1]}},
    "n": {"value": "P"},
    "o": {"value": "0.25"},
    "p": {"value": "??"},
}


def test_grades_parts_and_what_is_left_out() -> None:
    log = {
        "eval": {"task": "t", "model": "m"},
        "samples": [
            {"id": 1, "epoch": 1, "input": [{"role": "user", "content": [{"text": "hi"}]}], "scores": SCORES},
            {"id": 2, "epoch": 1, "input": "x", "error": {"message": "down"}, "target": "y"},
            {"id": 3, "epoch": 1, "input": "x", "scores": None},
        ],
    }
    read = inspect_log.read(json.dumps(log).encode())
    assert dict(read.samples[0].scores) == {"m.a": 1.0, "n": 0.5, "o": 0.25}
    assert read.samples[0].messages == ({"role": "user", "content": "hi"},)
    assert (read.samples[1].error, dict(read.samples[1].scores)) == ("down", {})
    assert read.notes == (
        "2 scores are neither numbers nor grades and were left out.",
        "1 samples carry no score.",
    )


def a_run() -> tuple[EvalRun, list[SampleResult]]:
    when = datetime(2026, 3, 1, 12, tzinfo=UTC)
    metric = Metric(
        name="exact", value=0.5, low=0.1, high=0.9, n=2, method="wilson", kind=MetricKind.PROPORTION
    )
    run = EvalRun(
        id="evr_1",
        suite="tickets",
        spec={},
        dataset="tickets@1",
        dataset_version="dsv_1",
        dataset_hash="h",
        target="gateway",
        model="chat",
        state=RunState.SUCCEEDED,
        total=2,
        metrics=(metric,),
        created_at=when,
        finished_at=when,
    )
    outputs = [
        Output(
            sample_id="t/0", text="Ja", latency_s=0.5, input_tokens=3, output_tokens=1, finish_reason="stop"
        ),
        Output(sample_id="t/1", error="late"),
    ]
    results = [
        SampleResult(
            run_id="evr_1",
            sample_id=output.sample_id,
            ordinal=ordinal,
            split="test",
            content_hash="c",
            messages=({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Gut?"}),
            references=("Ja", "ja"),
            output=output,
            scores={} if output.error else {"exact": 1.0},
            sums={},
            finished_at=when,
        )
        for ordinal, output in enumerate(outputs)
    ]
    return run, results


@pytest.mark.parametrize("write", [inspect_export.as_json, inspect_export.as_eval])
def test_what_we_write_we_read(write: Any) -> None:
    run, results = a_run()
    read = inspect_log.read(write(run, results))
    assert (read.suite, read.model, len(read.samples)) == ("tickets", "gateway/chat", 2)
    first, second = read.samples
    assert (first.id, first.text, dict(first.scores)) == ("t/0", "Ja", {"exact": 1.0})
    assert (first.references, first.messages) == (("Ja", "ja"), results[0].messages)
    assert (first.input_tokens, first.output_tokens, first.latency_s) == (3, 1, 0.5)
    assert (second.error, second.text) == ("late", "")
    assert write(run, results) == write(run, results)


def test_what_inspects_reader_of_headers_asks_for() -> None:
    """inspect_ai 0.3.285 reads a JSON log's header as a stream: no null error, samples at the end."""
    run, results = a_run()
    log = json.loads(inspect_export.as_json(run, results))
    assert "error" not in log
    assert list(log)[-1] == "samples"
    failed = json.loads(inspect_export.as_json(replace(run, state=RunState.FAILED, error="down"), results))
    assert (failed["status"], failed["error"]["message"]) == ("error", "down")


@given(st.binary(max_size=200))
def test_anything_else_is_refused_in_one_sentence(content: bytes) -> None:
    with pytest.raises(Invalid):
        inspect_log.read(content)
