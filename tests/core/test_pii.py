from itertools import pairwise

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import Invalid
from penstock.core.pii import Detector, PiiKind, placeholder
from penstock.core.pii.checksums import is_card, is_iban, is_ip, is_ssn, luhn
from penstock.core.pii.rules import RULES, Rule

EVERYTHING = Detector()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to anna.k+news@mail.example.co.uk, please.", "Write to [EMAIL], please."),
        ("Card 4111 1111 1111 1111 was declined", "Card [CARD] was declined"),
        ("Card 5500-0000-0000-0004.", "Card [CARD]."),
        ("IBAN DE89 3704 0044 0532 0130 00 PLEASE", "IBAN [IBAN] PLEASE"),
        ("IBAN GB82WEST12345698765432", "IBAN [IBAN]"),
        ("Call +49 30 1234567 today", "Call [PHONE] today"),
        ("Call (212) 555-0123 or 212-555-0123", "Call [PHONE] or [PHONE]"),
        ("Call (212)555-0123", "Call [PHONE]"),
        ("Call 915-081-1530x7274 or +1-212-555-0123 ext. 12 now", "Call [PHONE] or [PHONE] now"),
        ("Ring +41 (0)39 471 36 93.", "Ring [PHONE]."),
        ("Ruf 0171-1234567 an", "Ruf [PHONE] an"),
        ("Appelez le 06 12 34 56 78.", "Appelez le [PHONE]."),
        ("from 192.168.0.1.", "from [IP]."),
        ("from 2001:db8::8a2e:370:7334 today", "from [IP] today"),
        ("SSN 123-45-6789", "SSN [SSN]"),
        ("key " + "sk-" + "abcdefghijklmnopqrstuvwx", "key [SECRET]"),
        ("key AKIA" + "IOSFODNN7EXAMPLE", "key [SECRET]"),
        ("-----BEGIN " + "PRIVATE KEY-----\nMIIEv\n-----END PRIVATE KEY-----", "[SECRET]"),
    ],
)
def test_each_kind_is_masked(text: str, expected: str) -> None:
    assert EVERYTHING.redact(text)[0] == expected


@pytest.mark.parametrize(
    "text",
    [
        "Card 4111 1111 1111 1112 fails the check digit",
        "IBAN DE88 3704 0044 0532 0130 00 fails the check digits",
        "at 12:30:45 on 2026-11-21",
        "version 1.2.3 costs 1,234,567.89",
        "999.1.1.1 is no address, nor is 1.2.3.4.5",
        "666-45-6789 and 123-00-6789 were never issued",
        "order 2026-000123 of 100 000 pieces",
        "user @name and a@b",
        "She has 16 eggs per day and sells 9 * 2 = 18 for $2.",
        "0000 0000 0000 0000",
    ],
)
def test_lookalikes_stay(text: str) -> None:
    assert EVERYTHING.redact(text) == (text, {})


def test_counts_and_positions() -> None:
    text = "a@example.org, b@example.org and 10.1.2.3"
    assert EVERYTHING.count(text) == {"email": 2, "ip": 1}
    for finding in EVERYTHING.find(text):
        assert EVERYTHING.redact(text[finding.start : finding.end])[0] == placeholder(finding.kind)


def test_only_the_wanted_kinds() -> None:
    assert Detector(["email"]).redact("a@example.org 10.1.2.3")[0] == "[EMAIL] 10.1.2.3"


def test_an_unknown_kind_is_refused_with_a_suggestion() -> None:
    with pytest.raises(Invalid, match=r"emial.*Did you mean 'email'"):
        Detector(["emial"])


def test_a_lone_surrogate_does_not_break_it() -> None:
    assert EVERYTHING.redact("\ud800 a@example.org")[0] == "\ud800 [EMAIL]"


def test_every_exact_hit_passes_its_prefilter() -> None:
    samples = "\n".join(
        [
            "anna@example.org", "4111111111111111", "DE89370400440532013000", "123-45-6789", "10.0.0.7",
            "fe80::1:2", "+4930123456", "212-555-0123", "030/1234567", "AKIA" + "IOSFODNN7EXAMPLE",
            "-----BEGIN " + "RSA PRIVATE KEY-----",
        ]
    )  # fmt: skip
    for rule in RULES:
        alone = Detector([rule.kind])
        found = [m for m in rule.exact.finditer(samples) if rule.check(m.group())]
        assert found, rule
        assert alone.find(samples)


@given(st.text(alphabet="a1@.-+ ()/:[]EMAILDE0245é\n", max_size=200))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once, _ = EVERYTHING.redact(text)
    assert EVERYTHING.redact(once) == (once, {})


@given(st.lists(st.sampled_from([str(kind) for kind in PiiKind]), min_size=1), st.text(max_size=100))
def test_finds_are_ordered_and_do_not_overlap(kinds: list[str], text: str) -> None:
    found = Detector(kinds).find(text + " a@example.org 10.0.0.7 4111111111111111 +49 30 1234567")
    assert all(one.end <= other.start for one, other in pairwise(found))


@given(st.integers(min_value=0, max_value=10**15 - 1))
def test_luhn_accepts_exactly_one_check_digit(number: int) -> None:
    assert sum(luhn(f"{number}{digit}") for digit in range(10)) == 1


@pytest.mark.parametrize(
    "digits", ["4012888888881881", "378282246310005", "6011111111111117", "30569309025904"]
)
def test_card_numbers_published_for_testing(digits: str) -> None:
    assert is_card(digits)


@pytest.mark.parametrize(
    "iban", ["FR1420041010050500013M02606", "NL91ABNA0417164300", "PL61109010140000071219812874"]
)
def test_ibans_of_the_registry(iban: str) -> None:
    assert is_iban(iban)
    assert not is_iban(iban[:-1] + ("1" if iban[-1] != "1" else "2"))


def test_number_plans() -> None:
    assert is_ssn("001-01-0001")
    assert not is_ssn("900-01-0001")
    assert is_ip("1.1.1.1")
    assert not is_ip("0.0.0.0")
    assert not is_ip("::1")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.kind}:{rule.prefilter[:12]}")
@given(data=st.data())
def test_prefilters_hit_wherever_there_is_a_find(rule: Rule, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(rule.exact)) + data.draw(st.sampled_from(["", " ", "_x", ", 2003"]))
    text = data.draw(st.sampled_from(["", " ", "_", "(", "x: ", "é"])) + text
    if any(rule.check(match[0]) for match in rule.exact.finditer(text)):
        assert re2.search(rule.prefilter, text)


NEVER = "In 2003, 998 of 10000 ships; std::string and Vec::new(); 12:30:45 on 2024-01-01, typescript@5.4.2, 01-02-2024"


def test_dates_numbers_and_code_do_not_wake_the_expressions() -> None:
    assert [rule.prefilter for rule in RULES if re2.search(rule.prefilter, NEVER)] == []
