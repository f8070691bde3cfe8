"""The HTTP client against scripted servers."""

import asyncio
import datetime
import ssl
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from penstock.core.errors import Denied, Invalid
from penstock.gateway.upstream import proxy, tls
from penstock.gateway.upstream.client import UpstreamClient
from penstock.gateway.upstream.errors import (
    Abandoned,
    BadAnswer,
    ConnectFailed,
    Dropped,
    PoolExhausted,
    TimedOut,
)
from penstock.gateway.upstream.pool import PoolLimits
from penstock.gateway.upstream.request import Origin, Request, Timeouts, split_base_url
from tests.fakes.server import END, Received, ScriptedServer, Step, answer, chunk, stream_head

QUICK = Timeouts(connect=2, first_byte=0.3, idle=0.3, pool=0.3)


def ask(url: str, body: bytes = b"{}", path: bytes = b"/v1/x") -> Request:
    origin, _ = split_base_url(url)
    return Request(origin, path, b"host: %b\r\n" % origin.host_header, body)


def run(main):
    """Run on the loop that production uses."""
    return uvloop.run(main)


def serve(*steps: Step):
    return ScriptedServer(lambda request: iter(steps))


def test_connections_are_reused() -> None:
    async def main(server: ScriptedServer) -> None:
        client = UpstreamClient()
        for _ in range(5):
            response = await client.send(ask(server.url))
            assert (response.status, await response.read(1000)) == (200, b'"hello"')
        await client.close()

    with serve(answer("hello")) as server:
        run(main(server))
        assert server.connections == 1 and len(server.requests) == 5


@pytest.mark.parametrize(
    ("steps", "body"),
    [
        ((answer(b"abc"),), b"abc"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n", answer(b"abc")), b"abc"),
        ((stream_head(), chunk(b"ab"), 0.05, chunk(b"c"), END), b"abc"),
        ((stream_head(), b"1\r", b"\na\r\n2;x=y\r\nbc", b"\r\n0\r\nx-trailer: 1\r\n\r\n"), b"abc"),
        ((b"HTTP/1.1 200 OK\r\n\r\nab", 0.05, b"c", "close"), b"abc"),
        ((b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc", "close"), b"abc"),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), b""),
    ],
)
def test_framings(steps: tuple[Step, ...], body: bytes) -> None:
    async def main(server: ScriptedServer) -> None:
        client = UpstreamClient()
        for _ in range(2):
            response = await client.send(ask(server.url))
            assert await response.read(1000) == body
        await client.close()

    with serve(*steps) as server:
        run(main(server))


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        (("cut",), Dropped),
        (("close",), Dropped),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", "close"), Dropped),
        ((stream_head(), chunk(b"ab"), "close"), Dropped),
        ((b"HTTP/1.1 200 OK\r\n\r\nab", 0.1, "cut"), Dropped),
        ((b"SSH-2.0-OpenSSH\r\n",), BadAnswer),
        ((b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 70_000 + b"\r\n\r\n",), BadAnswer),
        ((b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 300 + b"\r\n",), BadAnswer),
        ((b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",), BadAnswer),
        ((stream_head(), b"zz\r\n"), BadAnswer),
        ((5.0,), TimedOut),
        ((stream_head(), chunk(b"a"), 5.0), TimedOut),
    ],
)
def test_bad_answers(steps: tuple[Step, ...], error: type[Exception]) -> None:
    async def main(server: ScriptedServer) -> None:
        client = UpstreamClient()
        with pytest.raises(error):
            response = await client.send(ask(server.url), QUICK)
            await response.read(1000)
        await client.close()

    with serve(*steps) as server:
        run(main(server))


def test_dead_idle_connection_is_replaced_once() -> None:
    def script(request: Received) -> Iterable[Step]:
        if request.connection == 1 and len(server.requests) == 2:
            return iter(["cut"])
        return iter([answer("ok")])

    async def main() -> None:
        client = UpstreamClient()
        for _ in range(3):
            response = await client.send(ask(server.url))
            assert await response.read(100) == b'"ok"'
        await client.close()

    with ScriptedServer(script) as server:
        run(main())
        assert server.connections == 2 and len(server.requests) == 4


def test_no_repeat_once_a_byte_came() -> None:
    def script(request: Received) -> Iterable[Step]:
        return iter([answer("ok")] if len(server.requests) == 1 else [b"HTTP/1.1 2", "close"])

    async def main() -> None:
        client = UpstreamClient()
        await (await client.send(ask(server.url))).read(100)
        with pytest.raises(Dropped):
            await client.send(ask(server.url))
        await client.close()

    with ScriptedServer(script) as server:
        run(main())
        assert len(server.requests) == 2


def test_closing_early_cuts_the_provider_off() -> None:
    async def main(server: ScriptedServer) -> None:
        client = UpstreamClient()
        response = await client.send(ask(server.url))
        assert await response.next() == b"a"
        response.close()
        response.close()
        assert await response.next() is None
        await client.close()

    with serve(stream_head(), chunk(b"a"), 30.0) as server:
        run(main(server))
        assert server.requests[0].left.wait(60)


def test_abandon_wakes_the_reader() -> None:
    async def main(server: ScriptedServer) -> None:
        client = UpstreamClient()
        response = await client.send(ask(server.url))
        asyncio.get_running_loop().call_later(0.05, response.abandon)
        with pytest.raises(Abandoned):
            await response.read(100)
        response.close()
        await client.close()

    with serve(stream_head(), 30.0) as server:
        run(main(server))


def test_a_slow_reader_holds_the_sender_back() -> None:
    sent = []

    def script(_: Received) -> Iterable[Step]:
        yield stream_head()
        for _ in range(400):
            sent.append(1)
            yield chunk(bytes(100_000))
        yield END

    async def main(server: ScriptedServer) -> None:
        client = UpstreamClient()
        response = await client.send(ask(server.url))
        await asyncio.sleep(0.5)
        held = len(sent)
        assert held < 300, "everything was read although nobody took it"
        assert len(await response.read(10**9)) == 40_000_000
        await client.close()

    with ScriptedServer(script) as server:
        run(main(server))


def test_the_pool_has_a_limit_and_a_queue() -> None:
    async def main(server: ScriptedServer) -> None:
        client = UpstreamClient(limits=PoolLimits(connections=2))
        first, second = [await client.send(ask(server.url), QUICK) for _ in range(2)]
        started = time.monotonic()
        with pytest.raises(PoolExhausted):
            await client.send(ask(server.url), QUICK)
        assert time.monotonic() - started < 2
        third = asyncio.create_task(client.send(ask(server.url), QUICK))
        await asyncio.sleep(0.05)
        await first.read(100)
        assert (await third).status == 200
        (await third).close()
        second.close()
        await client.close()

    with serve(stream_head(), 0.2, chunk(b"x"), END) as server:
        run(main(server))
        assert server.connections == 2


def test_refused_and_unresolvable() -> None:
    async def main() -> None:
        client = UpstreamClient()
        with pytest.raises(ConnectFailed, match="cannot be reached"):
            await client.send(ask("http://127.0.0.1:9"))
        with pytest.raises(ConnectFailed):
            await client.send(ask("http://no-such-host.invalid"))
        await client.close()

    run(main())


def test_the_connected_address_is_checked() -> None:
    seen = []

    def check(address: str, allow_private: bool) -> None:
        seen.append((address, allow_private))
        raise Denied("no")

    async def main(server: ScriptedServer) -> None:
        client = UpstreamClient(check_address=check)
        with pytest.raises(Denied):
            await client.send(ask(server.url))
        await client.close()

    with serve(answer("ok")) as server:
        run(main(server))
        assert seen == [("127.0.0.1", True)] and not server.requests


def test_answers_over_the_limit_are_refused() -> None:
    async def main(server: ScriptedServer) -> None:
        client = UpstreamClient()
        response = await client.send(ask(server.url))
        with pytest.raises(Exception, match="larger than 10 bytes"):
            await response.read(10)
        await client.close()

    with serve(stream_head(), chunk(b"x" * 8), 0.05, chunk(b"x" * 8), END) as server:
        run(main(server))


def test_http_proxy_gets_the_whole_url() -> None:
    async def main(server: ScriptedServer) -> None:
        environ = {"http_proxy": f"http://ada:s%40cret@127.0.0.1:{server.port}"}
        client = UpstreamClient(environ=environ)
        response = await client.send(ask("http://models.example:8080"))
        assert await response.read(100) == b'"ok"'
        await client.close()

    with serve(answer("ok")) as server:
        run(main(server))
        request = server.requests[0]
        assert request.path == "http://models.example:8080/v1/x"
        assert request.headers["proxy-authorization"] == "Basic YWRhOnNAY3JldA=="


@pytest.mark.parametrize(
    ("url", "environ", "used"),
    [
        ("https://a.example", {"HTTPS_PROXY": "http://p:3128"}, True),
        ("https://a.example", {"http_proxy": "http://p:3128"}, False),
        ("http://a.example", {"HTTP_PROXY": "p:3128"}, True),
        ("http://127.0.0.1:1", {"HTTP_PROXY": "p:3128"}, False),
        ("http://localhost", {"HTTP_PROXY": "p:3128"}, False),
        ("http://a.example", {"HTTP_PROXY": "p:3128", "NO_PROXY": "b.example, .example"}, False),
        ("http://a.example", {"HTTP_PROXY": "p:3128", "no_proxy": "a.example:80"}, False),
        ("http://a.example", {"HTTP_PROXY": "p:3128", "no_proxy": "a.example:81"}, True),
        ("http://ba.example", {"HTTP_PROXY": "p:3128", "no_proxy": "a.example"}, True),
        ("http://a.example", {"HTTP_PROXY": "p:3128", "no_proxy": "*"}, False),
    ],
)
def test_which_proxy(url: str, environ: dict[str, str], used: bool) -> None:
    origin, _ = split_base_url(url)
    assert (proxy.proxy_for(origin, environ) is not None) is used


def test_socks_is_refused() -> None:
    with pytest.raises(Invalid, match="not supported"):
        proxy.parse("socks5://p:1080")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x",
        "http://",
        "http://u:p@x",
        "http://x/a b",
        "http://x/\r\nevil",
        "http://x:99999",
        "x",
        "http://x?a=b",
    ],
)
def test_bad_urls(url: str) -> None:
    with pytest.raises(Invalid):
        split_base_url(url)


def test_host_header() -> None:
    assert split_base_url("https://x.example/v1/")[0].host_header == b"x.example"
    assert split_base_url("http://[::1]:8080")[0].host_header == b"[::1]:8080"
    assert split_base_url("https://x.example/v1/")[1] == "/v1"


# -- TLS ---------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A self-signed certificate for localhost: (certificate, key)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = tmp_path / "cert.pem", tmp_path / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


async def _tls_server(certificate: tuple[Path, Path], *, connect_first: bool = False) -> asyncio.Server:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if connect_first:
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"CONNECT localhost:4430 HTTP/1.1\r\n")
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await writer.start_tls(context)
            while True:
                await reader.readuntil(b"\r\n\r\n{}")
                writer.write(answer("secret"))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            writer.close()

    return await asyncio.start_server(serve_one, "127.0.0.1", 0, ssl=None if connect_first else context)


def test_tls(certificate: tuple[Path, Path]) -> None:
    async def main() -> None:
        server = await _tls_server(certificate)
        port = server.sockets[0].getsockname()[1]
        client = UpstreamClient()
        trusted = Origin("https", "localhost", port, True, str(certificate[0]))
        for _ in range(2):
            response = await client.send(Request(trusted, b"/", b"", b"{}"))
            assert await response.read(100) == b'"secret"'
        for origin in (trusted._replace(ca_file=""), trusted._replace(host="127.0.0.1")):
            with pytest.raises(ConnectFailed, match="not trusted"):
                await client.send(Request(origin, b"/", b"", b"{}"))
        unchecked = await client.send(Request(trusted._replace(ca_file="", verify=False), b"/", b"", b"{}"))
        unchecked.close()
        await client.close()
        server.close()

    run(main())


def test_tls_through_a_proxy(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "_local", lambda host: False)

    async def main() -> None:
        server = await _tls_server(certificate, connect_first=True)
        port = server.sockets[0].getsockname()[1]
        client = UpstreamClient(environ={"https_proxy": f"http://127.0.0.1:{port}"})
        origin = Origin("https", "localhost", 4430, True, str(certificate[0]))
        for _ in range(2):
            response = await client.send(Request(origin, b"/", b"", b"{}"))
            assert await response.read(100) == b'"secret"'
        await client.close()
        server.close()

    run(main())


def test_proxy_that_refuses() -> None:
    async def main(server: ScriptedServer) -> None:
        client = UpstreamClient(environ={"https_proxy": server.url})
        with pytest.raises(ConnectFailed, match="answered 407 to CONNECT"):
            await client.send(ask("https://models.example"))
        await client.close()

    with serve(answer("no", 407)) as server:
        run(main(server))


def test_unreadable_authority() -> None:
    with pytest.raises(Invalid, match="cannot be used"):
        tls.client_context(True, "/no/such/file.pem")
