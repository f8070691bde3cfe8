import pytest

from penstock.gateway.cache.directives import OFF, REFRESH, USUAL, Directives, directives


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, USUAL),
        ({b"cache-control": b"no-store"}, OFF),
        ({b"cache-control": b"no-cache"}, REFRESH),
        ({b"cache-control": b"No-Cache, max-age=5"}, Directives(look=False, max_age=5)),
        ({b"cache-control": b'max-age="60"'}, Directives(max_age=60)),
        ({b"cache-control": b"max-age=-1"}, USUAL),
        ({b"cache-control": b"max-age"}, USUAL),
        ({b"cache-control": b"public, max-stale=3"}, USUAL),
        ({b"x-penstock-cache": b"off"}, OFF),
        ({b"x-penstock-cache": b" Refresh "}, REFRESH),
        ({b"x-penstock-cache": b"hm"}, USUAL),
        ({b"x-penstock-cache": b"off", b"cache-control": b"max-age=9"}, OFF),
    ],
)
def test_headers_say_what_may_be_done(headers: dict[bytes, bytes], wanted: Directives) -> None:
    assert directives(headers) == wanted
