"""Modules that load on first use, so that a process pays only for what it does.

For type checkers and for the rules on layers the import stays an ordinary one:

    if TYPE_CHECKING:
        from penstock.datasets import table
    else:
        table = deferred("penstock.datasets.table")

The same as PEP 810's `lazy import`, which Python before 3.15 lacks.
"""

from importlib import import_module
from types import ModuleType
from typing import Any


class Deferred(ModuleType):
    """Stands for the module of its name; reading, setting or deleting an attribute loads and reaches that one."""

    def __getattr__(self, name: str) -> Any:
        """Return the real module's attribute."""
        return getattr(import_module(self.__name__), name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set the real module's attribute."""
        setattr(import_module(self.__name__), name, value)

    def __delattr__(self, name: str) -> None:
        """Delete the real module's attribute."""
        delattr(import_module(self.__name__), name)


def deferred(name: str) -> Deferred:
    """Return a stand-in for the module `name`, which is imported when something of it is first used."""
    return Deferred(name)
