"""Where this installation's own server is."""

import json
import os
from pathlib import Path

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.settings import ServerSettings

ENVIRONMENT_NAME = "PENSTOCK_URL"
STATE = Path("run") / "supervisor.json"
"""Written by `penstock up` into its home: `pid` and `url` among others."""
_ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})


def own_address(home: Home) -> str:
    """Return the server's address without a path, such as `http://127.0.0.1:8600`.

    It is $PENSTOCK_URL, else that of the server which runs on the home, else where the settings would start one.
    Raises Invalid when none of them tells.
    """
    given = os.environ.get(ENVIRONMENT_NAME, "").rstrip("/")
    return given or _running(home.path) or _configured(home)


def _running(folder: Path) -> str:
    try:
        state = json.loads((folder / STATE).read_bytes())
        os.kill(state["pid"], 0)
    except (FileNotFoundError, ProcessLookupError):
        return ""
    except PermissionError:
        return str(state.get("url", ""))  # somebody else's process, and alive
    return str(state.get("url", ""))


def _configured(home: Home) -> str:
    server = home.settings.section(ServerSettings)
    if server.port == 0:
        raise Invalid("The server's port is not fixed.", hint=f"Set {ENVIRONMENT_NAME} to its address.")
    host = "127.0.0.1" if server.host in _ANY_ADDRESS else server.host
    return f"http://{host}:{server.port}"
