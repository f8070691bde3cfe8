"""Rewrites what is committed but made from the code: openapi.json, the public API snapshot, the docs' reference.

python -m tests.update
"""

from tests.contracts import openapi, public_api
from tests.docs import reference


def main() -> None:
    """Rewrite everything."""
    openapi.FILE.write_text(openapi.describe())
    public_api.FILE.write_text(public_api.describe())
    reference.rewrite()


if __name__ == "__main__":
    main()
