"""The management API's description of itself, with short names for its shapes.

Where two slices have a shape of the same name, FastAPI puts the module's whole path before it. Clients generated from
the description would carry those paths; here the slice goes before the name instead: `EvalsRunModel`.
"""

import re
from typing import Any

from fastapi import FastAPI

_NOT_TOLD = frozenset({"penstock", "web", "core", "http", "api", "api_models", "model", "shapes"})
"""Parts of a module's path that say nothing about the shape."""
_PAGE = re.compile(r".*__Page_\w+?_(__\d+)?$")


class ManagementApi(FastAPI):
    """FastAPI that describes itself with short names."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document; raises ValueError when two shapes get one name."""
        found = super().openapi()
        shapes: dict[str, Any] = found["components"]["schemas"]
        names = {name: _short(name) for name in shapes if "__" in name and not _PAGE.match(name)}
        names |= {name: _page(shapes[name], names) for name in shapes if _PAGE.match(name)}
        if len(set(names.values()) | (shapes.keys() - names.keys())) != len(shapes):
            raise ValueError("Two shapes of the management API got one name: rename one of them.")
        found["components"]["schemas"] = {names.get(name, name): shape for name, shape in shapes.items()}
        prefix = "#/components/schemas/"
        _renamed(found, {prefix + old: prefix + new for old, new in names.items()})
        return found


def _short(name: str) -> str:
    *path, last = name.split("__")
    words = (part.removesuffix("_api").split("_") for part in path if part not in _NOT_TOLD)
    return "".join(word.capitalize() for part in words for word in part) + last


def _page(shape: dict[str, Any], names: dict[str, str]) -> str:
    item = str(shape["properties"]["items"]["items"]["$ref"]).rpartition("/")[2]
    return f"Page_{names.get(item, item)}_"


def _renamed(node: Any, names: dict[str, str]) -> None:
    """Replace references, in place."""
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, dict | list):
            _renamed(child, names)
    if isinstance(node, dict) and isinstance(found := node.get("$ref"), str):
        node["$ref"] = names.get(found, found)
    if isinstance(node, dict) and isinstance(mapping := node.get("mapping"), dict):
        node["mapping"] = {
            key: names.get(value, value) for key, value in mapping.items() if isinstance(value, str)
        }
