"""Rows of the Hugging Face hub, streamed by its library `datasets` (Apache-2.0).

Code that a repository brings is never run. A token is taken from HF_TOKEN or the library's own login.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import datasets
from penstock.core.errors import Invalid, Upstream


def rows(source: Mapping[str, Any], skip: int) -> Iterator[Mapping[str, Any]]:
    """Yield the rows behind the first `skip` of `source`: repository, config, split, revision, data_files.

    Raises Invalid when there is no such data set, configuration or split, Upstream when the hub is out of reach.
    """
    try:
        found = datasets.load_dataset(
            source["repository"],
            source.get("config"),
            split=source.get("split") or "train",
            revision=source.get("revision"),
            data_files=source.get("data_files"),
            streaming=True,
        )
        yield from found.skip(skip) if skip else found
    except (ValueError, FileNotFoundError) as error:
        raise Invalid(
            f"{source['repository']} cannot be read: {error}.",
            hint="Check repository, configuration and split.",
        ) from error
    except OSError as error:
        raise Upstream(
            f"{source['repository']} cannot be fetched: {error}.", hint="Check the network; then pull again."
        ) from error
