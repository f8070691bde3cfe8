"""Options of plug-ins, checked against the struct that lists them."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean

_S = TypeVar("_S", bound=msgspec.Struct)


def converted(what: str, kind: type[_S], options: Mapping[str, Any], *, strict: bool = True) -> _S:
    """Return the options as `kind`, with its defaults; raises Invalid that names the wrong one of `what`.

    Without `strict` texts may stand for numbers and truth values, as on a command line.
    """
    known = kind.__struct_fields__
    for name in options:
        if name not in known:
            raise Invalid(f"{what} has no option {name!r}.", hint=did_you_mean(name, known))
    try:
        return msgspec.convert(dict(options), kind, strict=strict)
    except msgspec.ValidationError as error:
        raise Invalid(f"The options of {what} are wrong: {error}.") from error
