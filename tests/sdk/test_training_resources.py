"""Training through the SDK: ready recipes, and the look before a run."""

import pytest

from penstock.sdk.client import Client
from tests.sdk.fake_server import FakeServer


@pytest.fixture
def client(server: FakeServer) -> Client:
    return Client(server.url, "psk_1")


def test_a_recipe_is_found_and_looked_at(client: Client, server: FakeServer) -> None:
    server.answer("GET /api/v1/training/recipes", {"items": [{"name": "sft-lora"}], "next": None})
    server.answer("POST /api/v1/training/preview", {"rows": 3, "problems": [], "examples": []})
    (recipe,) = client.training.recipes()
    assert client.training.preview(recipe["name"], base="base@1", dataset="d@1")["rows"] == 3
    values = {"base": "base@1", "dataset": "d@1"}
    assert server.asked[1].json() == {"recipe": "sft-lora", "values": values}
