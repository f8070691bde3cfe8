"""A registered model of another MLflow server, fetched over MLflow's REST API 2.0 and its artifact proxy.

`penstock models import-mlflow NAME --uri http://host:5000 --model churn --version 3` runs this in a child process. A
token is taken from MLFLOW_TRACKING_TOKEN, or a user and password from MLFLOW_TRACKING_USERNAME and _PASSWORD; they are
sent to the server that MLFLOW_TRACKING_URI names and to no other, since whoever imports may name any.
https://mlflow.org/docs/latest/rest-api.html
"""

import base64
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from penstock.core.errors import Invalid, Upstream

API = "/api/2.0/mlflow"
PROXY = "/api/2.0/mlflow-artifacts/artifacts"
TIMEOUT = 60.0
"""Seconds without a byte after which the server counts as gone."""
DEPTH = 16


class _Straight(HTTPRedirectHandler):
    """Follows no redirect: the address was checked, the one it points to was not."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Refuse."""


def run(spec: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Fetch into the folder `output`.

    `spec`: `uri` of the server, `model`, `version` (number, or an alias such as `champion`), `output`. Returns `path`,
    `version`, `run` and `source`. Raises Invalid for what is not there or kept where only its own client can read
    it, Upstream when the server fails.
    """
    server = _Server(spec["uri"])
    name, wanted = spec["model"], str(spec["version"])
    if wanted.isdecimal():
        said = server.get(f"{API}/model-versions/get", name=name, version=wanted)
    else:
        said = server.get(f"{API}/registered-models/alias", name=name, alias=wanted)
    version = said["model_version"]
    number = str(version["version"])
    place = server.get(f"{API}/model-versions/get-download-uri", name=name, version=number)["artifact_uri"]
    root = _proxied(place)
    output = Path(spec["output"])
    count = 0
    for path in server.files(root):
        server.fetch(f"{root}/{path}", output / path)
        count += 1
        report({"stage": "fetch", "files": count})
    if not count:
        raise Invalid(f"Version {number} of {name} has no files at {place}.")
    return {"path": str(output), "version": number, "run": version.get("run_id") or "", "source": place}


def _proxied(place: str) -> str:
    if not place.startswith("mlflow-artifacts:"):
        raise Invalid(
            f"The model's files are at {place}, which its server does not hand out.",
            hint="Fetch them by `mlflow artifacts download`, then import the folder.",
        )
    path = place.removeprefix("mlflow-artifacts:")
    if path.startswith("//"):
        path = path[2:].partition("/")[2]
    return path.strip("/")


class _Server:
    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/")
        self._opener = build_opener(_Straight())
        self._headers = _authorization(uri)

    def get(self, address: str, /, **query: str) -> dict[str, Any]:
        with self._open(f"{address}?{urlencode(query)}") as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def files(self, root: str, folder: str = "", depth: int = 0) -> Iterator[str]:
        """Yield the files below `root`, by their paths in it."""
        if depth > DEPTH:
            raise Invalid(f"The model's folders are nested more than {DEPTH} deep.")
        path = f"{root}/{folder}" if folder else root
        for one in self.get(PROXY, path=path).get("files", []):
            name = str(one["path"]).rpartition("/")[2]
            if name in ("", ".", "..") or "\\" in name:
                raise Invalid(f"The server named a file {one['path']!r}, which is no file's name.")
            inside = f"{folder}/{name}" if folder else name
            if one.get("is_dir"):
                yield from self.files(root, inside, depth + 1)
            else:
                yield inside

    def fetch(self, path: str, to: Path) -> None:
        to.parent.mkdir(parents=True, exist_ok=True)
        with self._open(f"{PROXY}/{quote(path)}") as answer, to.open("wb") as file:
            shutil.copyfileobj(answer, file, 1 << 20)

    def _open(self, path: str) -> Any:
        try:
            return self._opener.open(Request(self._uri + path, headers=self._headers), timeout=TIMEOUT)
        except HTTPError as error:
            with error:
                text = error.read(2000).decode(errors="replace")
            if error.code in (401, 403, 404):
                raise Invalid(
                    f"The MLflow server refuses {path.partition('?')[0]}: {error.code} {text}",
                    hint="MLFLOW_TRACKING_TOKEN is sent to the server that MLFLOW_TRACKING_URI names, and to no other.",
                ) from error
            raise Upstream(f"The MLflow server answered {error.code}: {text}") from error
        except (URLError, OSError) as error:
            raise Upstream(f"The MLflow server cannot be reached: {error}.") from error


def _authorization(uri: str) -> dict[str, str]:
    own, asked = urlsplit(os.environ.get("MLFLOW_TRACKING_URI", "")), urlsplit(uri)
    if (own.scheme, own.netloc) != (asked.scheme, asked.netloc):
        return {}
    token, user = os.environ.get("MLFLOW_TRACKING_TOKEN"), os.environ.get("MLFLOW_TRACKING_USERNAME")
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user:
        pair = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}
