"""Which versions a prompt's includes mean right now: looked up once, guarded against circles, then pinned."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from penstock.core.errors import Invalid, NotFound
from penstock.prompts.model import Body, PromptVersion, Reference

MAX_DEPTH = 8
"""Includes within includes."""
MAX_INCLUDES = 64
"""Different references of one prompt, those of what it includes counted."""

Find = Callable[[Reference], PromptVersion]
"""Returns the version a reference means; raises NotFound."""


class Included(NamedTuple):
    """What a prompt's includes mean."""

    bodies: Mapping[str, Body]
    """By reference, as it is written."""
    pinned: Mapping[str, str]
    """Reference → `name@3`, the version that was found."""


def resolve(name: str, references: tuple[str, ...], find: Find) -> Included:
    """Return what `references` of the prompt `name` mean, and what those include in turn.

    The same reference means the same version everywhere. Raises Invalid for includes that lead in a circle, go deeper
    than eight levels or name more than 64 prompts, and for one that does not exist.
    """
    found: dict[str, PromptVersion] = {}
    heights: dict[str, int] = {}

    def height(wanted: tuple[str, ...], way: tuple[str, ...]) -> int:
        return max([1 + follow(text, way) for text in wanted], default=0)

    def follow(text: str, way: tuple[str, ...]) -> int:
        if text in way:
            circle = " → ".join([*way[way.index(text) :], text])
            raise Invalid(f"The prompt {name!r} would include itself without end: {circle}.")
        if text not in heights:
            if len(found) == MAX_INCLUDES:
                raise Invalid(f"The prompt {name!r} includes more than {MAX_INCLUDES} others.")
            version = found[text] = _found(find, text, way[-1] if way else name)
            heights[text] = height(version.includes, (*way, text))
        return heights[text]

    if height(references, ()) > MAX_DEPTH:
        raise Invalid(f"The includes of {name!r} go deeper than {MAX_DEPTH} levels.")
    return Included(
        {text: version.body for text, version in found.items()},
        {text: version.ref for text, version in found.items()},
    )


def _found(find: Find, text: str, by: str) -> PromptVersion:
    try:
        return find(Reference.read(text))
    except NotFound as error:
        raise Invalid(f"{by!r} includes what is not there: {error.message}", hint=error.hint) from error
