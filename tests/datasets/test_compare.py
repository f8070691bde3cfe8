from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service
from penstock.datasets.compare import Wanted

OLD: list[dict[str, Any]] = [{"id": n, "text": f"row {n}", "label": "a", "one": 1} for n in range(30)]


def test_fields_that_differ_are_named_and_counted(home: Home, actor: Actor) -> None:
    new = [{**row, "label": "b"} if row["id"] < 10 else dict(row) for row in OLD[2:]]
    new[0]["text"] = "other"
    service.ingest(home, actor, name="d", source=OLD)
    service.ingest(home, actor, name="d", source=[*new, {"id": 99, "text": "new", "label": "a", "one": 1}])
    found = service.diff(home, actor, "d@1", "d@2", key="id")
    assert (found.added, found.removed, found.changed, found.unchanged) == (1, 2, 8, 20)
    assert found.fields == {"label": 8, "text": 1}
    assert found.examples[2]["fields"] == ["text", "label"]
    wanted = Wanted(examples=2, skip=1, change="changed")
    shown = service.diff(home, actor, "d@1", "d@2", key="id", wanted=wanted).examples
    assert [(one["change"], one["key"]) for one in shown] == [("changed", "3"), ("changed", "4")]
    # By content alone, a changed row is one that went and one that came.
    assert service.diff(home, actor, "d@1", "d@2").changed == 0


def test_keys_that_identify_no_row(home: Home, actor: Actor) -> None:
    service.ingest(home, actor, name="d", source=OLD)
    service.ingest(home, actor, name="d", source=[*OLD, {"id": None}])
    with pytest.raises(Invalid, match="more than once"):
        service.diff(home, actor, "d@1", "d@2", key="one")
    with pytest.raises(Invalid, match="identifies no row"):
        service.diff(home, actor, "d@1", "d@2", key="id")
    with pytest.raises(Invalid, match="no column 'idd'"):
        service.diff(home, actor, "d@1", "d@2", key="idd")


def test_what_was_made_of_a_version_is_known(home: Home, actor: Actor) -> None:
    service.ingest(home, actor, name="d", source=OLD)
    service.append(home, actor, name="d", source=[{"id": 77}])
    with home.read() as uow:
        found = service.consumers(uow, actor, service.resolve(uow, actor, "d@1"))
    assert [(link.kind, link.ref) for link in found] == [("dataset_version", "d@2")]
