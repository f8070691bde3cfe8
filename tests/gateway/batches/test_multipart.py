"""Forms, however they are cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import Invalid
from penstock.gateway.batches.multipart import MAX_PARTS, MultipartReader, Part, boundary_of

BOUNDARY = b"xYz"


def form(*parts: tuple[bytes, bytes], end: bytes = b"--xYz--\r\n") -> bytes:
    return b"".join(b"--xYz\r\n%b\r\n\r\n%b\r\n" % part for part in parts) + end


def field(name: bytes, filename: bytes | None = None) -> bytes:
    more = b"" if filename is None else b'; filename="%b"' % filename
    return b'Content-Disposition: form-data; name="%b"%b' % (name, more)


def read(body: bytes, size: int = 1 << 20) -> list[tuple[Part, bytes]]:
    reader, found = MultipartReader(BOUNDARY), []
    for start in range(0, len(body), size):
        for piece in reader.feed(body[start : start + size]):
            if isinstance(piece, Part):
                found.append((piece, b""))
            else:
                found[-1] = (found[-1][0], found[-1][1] + piece)
    assert reader.complete
    return found


@given(
    contents=st.lists(st.binary(max_size=200).filter(lambda data: b"--xYz" not in data), max_size=5),
    size=st.integers(1, 300),
)
def test_the_pieces_do_not_matter(contents: list[bytes], size: int) -> None:
    body = form(*((field(b"f%d" % number), content) for number, content in enumerate(contents)))
    expected = [(Part(f"f{number}", None), content) for number, content in enumerate(contents)]
    assert read(body, size) == expected


def test_content_that_looks_like_a_boundary_is_content() -> None:
    tricky = b"\r\n--xY\r\n--\r\n-xYz\r\n--xYy--"
    body = form((field(b"purpose"), b"batch"), (field(b"file", rb"a\"b.jsonl"), tricky))
    assert read(body, 1) == [(Part("purpose", None), b"batch"), (Part("file", 'a"b.jsonl'), tricky)]


def test_a_preamble_and_an_epilogue_are_left_out() -> None:
    reader = MultipartReader(BOUNDARY)
    pieces = list(reader.feed(b"hello\r\n" + form((field(b"a"), b"1")) + b"goodbye"))
    assert pieces == [Part("a", None), b"1"] and reader.complete


@pytest.mark.parametrize(
    "body",
    [
        b"--xYzgarbage\r\n\r\n",
        b"--xYz" + b" " * 10_000,
        b"--xYz\r\n" + b"x: " + b"y" * 10_000,
        form((b"Content-Type: text/plain", b"1")),
        form((b"Content-Disposition: attachment; name=x", b"1")),
        form(*[(field(b"a"), b"1")] * (MAX_PARTS + 1)),
    ],
)
def test_a_malformed_form_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        list(MultipartReader(BOUNDARY).feed(body))


def test_a_form_cut_off_is_not_complete() -> None:
    reader = MultipartReader(BOUNDARY)
    list(reader.feed(form((field(b"a"), b"1"), end=b"--xYz-")))
    assert not reader.complete


@pytest.mark.parametrize(
    "value", [b"", b"application/json", b"multipart/form-data", b'multipart/form-data; boundary="a\x01"']
)
def test_the_boundary_is_checked(value: bytes) -> None:
    with pytest.raises(Invalid):
        boundary_of(value)
    assert boundary_of(b'multipart/form-data; boundary="a b"') == b"a b"
