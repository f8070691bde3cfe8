"""Binary event streams: any chunking, AWS's own reader as oracle, and no damage goes unnoticed."""

import struct
from itertools import pairwise
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.core.errors import Upstream
from penstock.gateway.dialects.eventstream import EventStream, Message
from tests.fakes import bedrock as fake

NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
HEADERS = st.dictionaries(NAMES, st.text(max_size=30), max_size=4)
MESSAGES = st.lists(st.tuples(HEADERS, st.binary(max_size=60)), min_size=1, max_size=5)


def fed(data: bytes, cuts: list[int]) -> list[Message]:
    stream = EventStream()
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    out = [message for one, two in pairwise(places) for message in stream.feed(data[one:two])]
    assert not stream.rest
    return out


@given(MESSAGES, st.lists(st.integers(0, 600), max_size=10))
def test_any_chunking_gives_what_awss_reader_gives(messages: list, cuts: list[int]) -> None:
    data = b"".join(fake.frame(headers, payload) for headers, payload in messages)
    oracle = EventStreamBuffer()
    oracle.add_data(data)
    assert fed(data, cuts) == [Message(each.headers, each.payload) for each in oracle]
    assert fed(data, list(range(len(data)))) == [Message(*each) for each in messages]


def raw(block: bytes, payload: bytes = b"{}") -> bytes:
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    message = prelude + struct.pack(">I", crc32(prelude)) + block + payload
    return message + struct.pack(">I", crc32(message))


def test_headers_of_every_type_are_read_over() -> None:
    block = (
        b"\x01a\x00\x01b\x01\x01c\x02\x05\x01d\x03\x00\x01\x01e\x04\x00\x00\x00\x01\x01f\x05" + bytes(8)
        + b"\x01g\x06\x00\x02hi" + b"\x01h\x07\x00\x02hi" + b"\x01i\x08" + bytes(8) + b"\x01j\x09" + bytes(16)
    )  # fmt: skip
    oracle = EventStreamBuffer()
    oracle.add_data(raw(block))
    assert set(oracle.next().headers) == set("abcdefghij")
    assert EventStream().feed(raw(block)) == [Message({"h": "hi"}, b"{}")]


@given(st.integers(0, 10_000), st.integers(1, 255))
@example(0, 255)
def test_no_damaged_message_passes(at: int, change: int) -> None:
    good = fake.events({})[1]
    at %= len(good)
    bad = good[:at] + bytes([good[at] ^ change]) + good[at + 1 :]
    with pytest.raises(Upstream, match="broken event stream"):
        EventStream().feed(bad)


@given(st.binary(min_size=12, max_size=200))
def test_noise_is_no_stream(data: bytes) -> None:
    with pytest.raises(Upstream):
        EventStream().feed(data + fake.events({})[0])


@pytest.mark.parametrize(
    "block",
    [
        b"\x05ab",
        b"\x01a",
        b"\x01a\x07\x00\x09hi",
        b"\x01a\x0bxx",
        b"\x01\xff\x00",
        b"\x01a\x05\x00",
        b"\x01a\x07\x00",
    ],
)
def test_headers_that_make_no_sense(block: bytes) -> None:
    with pytest.raises(Upstream, match="broken event stream"):
        EventStream().feed(raw(block))


def test_lengths_that_make_no_sense() -> None:
    for total, headers in ((15, 0), (0, 0), (40, 30), (1 << 31, 4)):
        prelude = struct.pack(">II", total, headers)
        with pytest.raises(Upstream, match="lengths"):
            EventStream().feed(prelude + struct.pack(">I", crc32(prelude)) + bytes(40))
