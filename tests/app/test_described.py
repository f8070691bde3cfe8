"""The names of shapes in the management API's description."""

import json
import re

import pytest
from fastapi import APIRouter
from pydantic import BaseModel

from penstock.app.described import ManagementApi
from penstock.app.server import build_api
from penstock.core.http.paging import Page


def test_every_reference_leads_to_a_shape_with_a_short_name() -> None:
    found = build_api(None).openapi()
    shapes = set(found["components"]["schemas"])
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(found))) <= shapes
    assert not [name for name in shapes if "penstock" in name or "___" in name]
    assert {"EvalsRunModel", "TrainingRunModel", "Page_EvalsRunModel_"} <= shapes


def test_it_can_be_asked_again() -> None:
    app = build_api(None)
    assert json.dumps(app.openapi()) == json.dumps(app.openapi())


def _page_of(module: str) -> object:
    thing: type[BaseModel] = type(
        "Thing", (BaseModel,), {"__module__": module, "__annotations__": {module.rpartition(".")[2]: int}}
    )
    return Page[thing]  # type: ignore[valid-type]


def test_shapes_that_would_share_a_name_are_refused() -> None:
    app, router = ManagementApi(), APIRouter()
    for number, module in enumerate(("penstock.one.api", "penstock.one.model")):
        router.add_api_route(f"/{number}", lambda: None, response_model=_page_of(module))
    app.include_router(router)
    with pytest.raises(ValueError, match="one name"):
        app.openapi()
