"""One web process: uvicorn on the socket that the supervisor opened.

Run as: python -m penstock.cli.boot web_worker {"home": …, "url": …, "parent": PID} SOCKET_FD [READY_FD]
"""

import json
import os
import socket

import uvicorn

from penstock.app.server import Penstock
from penstock.cli.welcome import welcome
from penstock.core import log, say
from penstock.core.child import die_with_parent
from penstock.core.errors import PenstockError
from penstock.core.home import Home
from penstock.core.settings import CoreSettings


class Server(uvicorn.Server):
    """Uvicorn that tells the supervisor when it serves."""

    def __init__(self, config: uvicorn.Config, home: Home, url: str, ready_fd: int | None) -> None:
        super().__init__(config)
        self._home = home
        self._url = url
        self._ready_fd = ready_fd

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start serving, then greet and report ready."""
        await super().startup(sockets)
        if self._ready_fd is not None and self.started:
            welcome(self._home, self._url)
            os.write(self._ready_fd, b"1")
            os.close(self._ready_fd)


def main(plan_json: str, socket_fd: str, ready_fd: str | None = None) -> int:
    """Serve until a signal; returns the exit code."""
    plan = json.loads(plan_json)
    die_with_parent(plan["parent"])
    try:
        with Home.open(plan["home"], upgrade=False) as home:
            core = home.settings.section(CoreSettings)
            log.configure(core.log_level, core.log_style)
            config = uvicorn.Config(
                Penstock(home, intake=False),
                loop="uvloop",
                http="httptools",
                ws="none",
                lifespan="on",
                access_log=False,
                log_config=None,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=10,
                backlog=2048,
            )
            server = Server(config, home, plan["url"], int(ready_fd) if ready_fd else None)
            server.run([socket.socket(fileno=int(socket_fd))])
    except PenstockError as error:
        say.fail(error)
        return 1
    return 0
