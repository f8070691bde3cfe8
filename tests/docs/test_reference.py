"""Rule 12: settings, routes, commands, events and plug-in groups are in the docs, as the code has them."""

import importlib
import re
from pathlib import Path

import pytest

from penstock.cli.commands import COMMANDS, Command
from tests.architecture.code import ROOT
from tests.docs.reference import DOCS, PLACES, marked

PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("name", PLACES)
def test_the_reference_is_that_of_the_code(name: str) -> None:
    file, make = PLACES[name]
    written = marked((DOCS / file).read_text(), name).group(1)
    assert written == make(), f"docs/{file} is behind the code: run `python -m tests.update`"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_is_there(command: Command) -> None:
    app = getattr(importlib.import_module(command.module), command.attribute)
    assert app.registered_commands or app.registered_groups


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_docs_lead_somewhere(page: Path) -> None:
    targets = [target.partition("#")[0] for target in LINK.findall(page.read_text())]
    dead = [t for t in targets if t and "://" not in t and not (page.parent / t).exists()]
    assert not dead, f"{page.name} links to {dead}"


def test_every_page_is_on_the_index() -> None:
    listed = set(LINK.findall((DOCS / "index.md").read_text()))
    missing = [page.name for page in DOCS.glob("*.md") if page.name not in listed and page.name != "index.md"]
    assert not missing, f"docs/index.md lacks {missing}"
