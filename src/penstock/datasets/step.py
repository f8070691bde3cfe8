"""What every step of a recipe has in common."""

from typing import ClassVar

import msgspec

from penstock.core.errors import Invalid


class BaseStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step"):
    """What every step can say about itself."""

    VERSION: ClassVar[int] = 1

    def reads(self) -> tuple[str, ...]:
        """Return the columns that have to exist before the step."""
        return tuple(getattr(self, "columns", ()))

    def after(self, columns: list[str]) -> list[str] | None:
        """Return the columns that exist after the step; None when only running it will tell."""
        return columns

    def check(self) -> None:
        """Raise Invalid for a value that cannot be meant."""

    @property
    def repeats(self) -> bool:
        """Whether a row may come out more than once, so that its key names it no longer."""
        return False

    @property
    def name(self) -> str:
        """Return the step's name in the YAML form."""
        return str(self.__struct_config__.tag)

    def _within(self, name: str, low: float, high: float) -> None:
        if not low <= getattr(self, name) <= high:
            raise Invalid(f"{self.name} needs {name} from {low:g} to {high:g}.", hint="Change it.")
