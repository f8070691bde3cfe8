"""The committed description of the management API."""

import json

from penstock.app.server import build_api
from tests.architecture.code import ROOT

FILE = ROOT / "openapi.json"


def describe() -> str:
    """Return the app's OpenAPI document as it is committed."""
    return json.dumps(build_api(None).openapi(), indent=1, ensure_ascii=False) + "\n"
