"""What `import penstock` promises, as text: a change of it shows as a diff of `public_api.txt`."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import penstock

FILE = Path(__file__).parent / "public_api.txt"


def describe() -> str:
    """Return one line per public name, method and property."""
    return (
        "\n".join(line for name in sorted(penstock.__all__) for line in _lines(name, getattr(penstock, name)))
        + "\n"
    )


def _lines(name: str, thing: Any) -> Iterator[str]:
    if not inspect.isclass(thing):
        yield f"{name}{_signature(thing)}" if callable(thing) else name
        return
    bases = ", ".join(base.__name__ for base in thing.__bases__)
    yield f"class {name}({bases}){_signature(thing)}"
    for attribute, value in sorted(vars(thing).items()):
        if attribute.startswith("_"):
            continue
        if isinstance(value, property):
            yield f"    {attribute}: property"
        elif inspect.isfunction(value):
            yield f"    {attribute}{_signature(value)}"
    if name == "Client":
        for group, value in sorted(vars(thing("http://127.0.0.1:1")).items()):
            for method, function in sorted(vars(type(value)).items()):
                if type(value).__module__.endswith("resources") and not method.startswith("_"):
                    yield f"    {group}.{method}{_signature(function)}"


def _signature(thing: Any) -> str:
    try:
        signature = inspect.signature(thing)
    except ValueError:  # an exception class that adds nothing to Exception's constructor
        return ""
    parameters = [
        # A default made at call time has no stable text.
        p.replace(default="…") if "factory" in repr(p.default) else p
        for p in signature.parameters.values()
    ]
    return str(signature.replace(parameters=parameters))
