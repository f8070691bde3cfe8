"""Repair, HTML and the three ways to redact."""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.datasets.steps import run

from penstock.core.errors import Invalid, MissingExtra
from penstock.core.pii import Detector, PiiKind
from penstock.datasets import markup, redaction
from penstock.datasets.redaction import Redactor
from penstock.datasets.tally import Means

KEY = Means(key=lambda: b"k" * 32)
MAIL = "write to Ann@Example.com or +49 30 1234567, card 4111 1111 1111 1111"


def test_repair_names_its_library(tmp_path: Path) -> None:
    rows = [{"t": "cafÃ© â€” sÃ¼ÃŸ"}, {"t": "“plain”"}]
    kept, reports, _ = run(tmp_path, [{"step": "repair"}], rows)
    assert kept == [{"t": "café — süß"}, {"t": "“plain”"}]
    assert reports[0].changed == 1
    assert reports[0].engine.startswith("ftfy ")
    kept, _, _ = run(tmp_path, [{"step": "repair", "straight_quotes": True}], rows[1:])
    assert kept == [{"t": '"plain"'}]


def test_repair_without_ftfy_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match=r"\[clean\]"):
        run(tmp_path, [{"step": "repair"}], [{"t": "a"}])


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two &amp; three</p>", "One\nTwo & three"),
        ("<head><title>x</title></head><script>var a = '<b>';</script>Hi <b>you</b>", "Hi you"),
        ("if a < b and b > c", "if a < b and b > c"),
        ("AT&amp;T", "AT&T"),
        ("line<br/>break<li>item", "line\nbreak\nitem"),
        ("<!-- gone -->kept", "kept"),
        ("<a href='https://example.org'>here</a>", "here"),
    ],
)
def test_html_becomes_what_a_reader_sees(html: str, text: str) -> None:
    assert markup.text_from(html) == text


def test_links_can_stay() -> None:
    assert (
        markup.text_from("<a href='https://example.org'>here</a>", links=True) == "here (https://example.org)"
    )


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_html_never_fails(text: str) -> None:
    assert isinstance(markup.text_from(text), str)
    assert markup.text_from(f"<p>{text}") is not None


def test_hash_is_the_same_for_the_same_value_and_hides_it(tmp_path: Path) -> None:
    rows = [{"t": MAIL}, {"t": "ann@example.com again"}]
    kept, reports, _ = run(tmp_path, [{"step": "redact", "mode": "hash"}], rows, KEY)
    first, second = kept[0]["t"].split("[EMAIL:")[1][:12], kept[1]["t"].split("[EMAIL:")[1][:12]
    assert first == second
    assert "Example" not in repr(kept)
    assert reports[0].counts == {"email": 2, "phone": 1, "card": 1}
    other = Redactor(Detector(), "hash", lambda: b"o" * 32).redact("ann@example.com")[0]
    assert first not in other


def test_surrogates_keep_the_form_and_belong_to_nobody() -> None:
    redactor = Redactor(Detector(), "surrogate", lambda: b"k" * 32)
    changed, counts = redactor.redact(MAIL)
    assert counts == {"email": 1, "phone": 1, "card": 1}
    assert "@example.org" in changed
    assert "-555-01" in changed
    assert " 9999 " in changed
    assert redactor.redact(MAIL)[0] == changed
    assert redactor.redact("DE89 3704 0044 0532 0130 00")[0].startswith("DE00 ")
    assert redactor.redact("078-05-1120")[0] != "078-05-1120"
    assert redactor.redact("from 10.1.2.3")[0].split()[1].rpartition(".")[0] in (
        "192.0.2",
        "198.51.100",
        "203.0.113",
    )


@pytest.mark.parametrize("kind", list(PiiKind))
def test_every_kind_has_a_surrogate(kind: PiiKind) -> None:
    values = {
        PiiKind.IBAN: "DE89370400440532013000",
        PiiKind.CARD: "4111-1111-1111-1111",
        PiiKind.IP: "2a00::1",
        PiiKind.PHONE: "+49 30 1234567",
    }
    value = values.get(kind, "some value")
    made = redaction.surrogate(kind, value, bytes(range(32)))
    assert made not in ("", value)
    assert made != redaction.surrogate(kind, value, bytes(range(1, 33)))


def test_hashing_needs_a_key(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="need a home"):
        run(tmp_path, [{"step": "redact", "mode": "hash"}], [{"t": MAIL}])


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "redaction.key"
    key = redaction.key_in(path)
    assert redaction.key_in(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"short")
    with pytest.raises(Invalid, match="damaged"):
        redaction.key_in(path)
