"""One web process, on the socket that the supervisor opened.

Run as: python -m penstock.cli.boot web_worker PLAN, where PLAN is JSON: home, url, parent (process id), fd (of the
socket), board_fd and slot (see web.edge.acceptor), ready_fd (takes one byte when this process serves), greet.
"""

import json
import os
import resource
import signal
import socket
from typing import Any

from penstock.app.server import Penstock
from penstock.cli.welcome import welcome
from penstock.core import log, say
from penstock.core.child import die_with_parent, end_after_parent
from penstock.core.errors import PenstockError
from penstock.core.home import Home
from penstock.core.settings import CoreSettings, ServerSettings
from penstock.web.edge.acceptor import Board
from penstock.web.edge.server import EdgeServer, edge_of, spare_collector


class Server(EdgeServer):
    """Tells the supervisor when it serves."""

    def __init__(self, home: Home, plan: dict[str, Any]) -> None:
        app = Penstock(home, intake=False)
        board = Board(plan["board_fd"], plan["slot"])
        edge = edge_of(home.settings.section(ServerSettings))
        super().__init__(app, edge, board=board, on_drain=lambda: app.begin_drain(retiring=self._retiring))
        self._home = home
        self._plan = plan

    def ready(self) -> None:
        """Greet, if this is the first start, and report."""
        if self._plan["greet"]:
            welcome(self._home, self._plan["url"])
        spare_collector()
        os.write(self._plan["ready_fd"], b"1")
        os.close(self._plan["ready_fd"])


def _raise_file_limit() -> None:
    """Allow as many open connections as the system lets this process have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(plan_json: str) -> int:
    """Serve until a signal; returns the exit code."""
    plan = json.loads(plan_json)
    die_with_parent(plan["parent"], signal.SIGTERM)
    _raise_file_limit()
    try:
        with Home.open(plan["home"], upgrade=False) as home:
            core = home.settings.section(CoreSettings)
            log.configure(core.log_level, core.log_style)
            edge = home.settings.section(ServerSettings)
            end_after_parent(plan["parent"], edge.drain_seconds + edge.drain_delay_seconds)
            server = Server(home, plan)
            signal.signal(signal.SIGUSR1, server.retire)
            server.run([socket.socket(fileno=plan["fd"])])
    except PenstockError as error:
        say.fail(error)
        return 1
    return 0
