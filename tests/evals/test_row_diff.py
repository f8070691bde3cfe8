"""Rows of several runs side by side."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from penstock.evals.model import Measure, MetricKind, Output, SampleResult
from penstock.evals.row_diff import MAX_WORDS, Piece, row_differences, with_pieces, word_pieces

EXACT = Measure(kind=MetricKind.PROPORTION)
LATENCY = Measure(kind=MetricKind.DISTRIBUTION, higher_is_better=False, unit="s")


def result(
    sample: str, exact: float, *, text: str = "yes", error: str | None = None, content: str = "c"
) -> SampleResult:
    return SampleResult(
        run_id="r",
        sample_id=sample,
        ordinal=int(sample[1:]),
        split="",
        content_hash=content,
        messages=({"role": "user", "content": "?"},),
        references=("yes",),
        output=Output(sample_id=sample, text=text, error=error),
        scores={} if error else {"exact": exact, "latency_s": 1 + exact},
        sums={},
        finished_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_order_and_statuses() -> None:
    base = [result(f"s{i}", 1.0) for i in range(6)] + [result("s9", 1, error="down")]
    first = [
        result("s0", 1.0),
        result("s1", 0.0, text="no"),
        result("s2", 0.0, content="other"),
        result("s3", 0.0, error="late"),
        result("s7", 1.0),
        result("s9", 1.0),
    ]
    second = [result("s0", 0.5), result("s1", 1.0), result("s5", 2.0)]
    rows = row_differences(
        [("a", base), ("b", first), ("c", second)], {"exact": EXACT, "latency_s": LATENCY}, None
    )
    assert [(row.sample_id, row.status, row.regression) for row in rows] == [
        ("s3", "failed", None),
        ("s1", "compared", 1.0),
        ("s0", "compared", 0.5),
        ("s5", "compared", -1.0),
        ("s2", "changed", None),
        ("s4", "only_baseline", None),
        ("s7", "only_candidate", None),
        ("s9", "failed", None),
    ]
    worst = rows[1]
    assert [side and side.text for side in worst.sides] == ["yes", "no", "yes"]
    assert with_pieces(worst) == ((), (Piece("delete", "yes"), Piece("insert", "no")), ())
    assert with_pieces(rows[-1]) == ((), (), ())
    slower = row_differences(
        [("a", base), ("c", second)], {"exact": EXACT, "latency_s": LATENCY}, "latency_s"
    )
    assert [(row.sample_id, row.regression) for row in slower[:2]] == [("s5", 1.0), ("s1", 0.0)]


@given(st.text(max_size=60), st.text(max_size=60))
def test_pieces_join_to_both_texts(before: str, after: str) -> None:
    pieces = word_pieces(before, after)
    assert "".join(piece.text for piece in pieces if piece.op != "insert") == before
    assert "".join(piece.text for piece in pieces if piece.op != "delete") == after


def test_long_answers_are_replaced_as_a_whole() -> None:
    long = "word " * MAX_WORDS
    assert [piece.op for piece in word_pieces(long, long + "more")] == ["delete", "insert"]
