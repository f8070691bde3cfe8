import penstock
from tests.sdk.fake_server import FakeServer


def test_feedback_follows_the_trace_it_is_about(traced: FakeServer) -> None:
    traced.answer("POST /api/v1/feedback", {"id": "fbk_1"}, status=201)
    with penstock.span("answer") as span:
        pass
    assert penstock.give_feedback(span, 1, comment="good") == {"id": "fbk_1"}
    assert [asked.path for asked in traced.asked] == ["/v1/traces", "/api/v1/feedback"]
    assert traced.asked[-1].json()["trace_id"] == span.trace_id
