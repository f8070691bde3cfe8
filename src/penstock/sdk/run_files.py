"""The files of an artifact: which there are, and how they travel."""

import mimetypes
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from penstock.sdk import clock
from penstock.sdk.errors import ApiError, ConnectionFailed
from penstock.sdk.quiet import logger
from penstock.sdk.transport import RETRIED_STATUS, Sender

LARGEST_FILE = 20 << 30
"""Bytes of one artifact."""
MOST_FILES = 10_000
"""Of one folder."""
ATTEMPTS = 3
_PAUSE_SECONDS = 0.5
_PLACE = "/mlflow/api/2.0/mlflow-artifacts/artifacts"


def found_in(source: Path, name: str, left_out: list[Path] | None = None) -> Iterator[tuple[Path, str]]:
    """Yield (file, path below the run) of a file or of everything in a folder; links in a folder are left out.

    What is too large or too much is left out with a warning, and added to `left_out`. Raises FileNotFoundError for
    nothing at `source`.
    """
    if not source.is_dir():
        if not source.exists():
            raise FileNotFoundError(f"There is no file {str(source)!r} to log as an artifact.")
        yield from _fit(source, name or source.name, left_out)
        return
    start = name.strip("/") or source.resolve().name
    files = sorted(path for path in source.rglob("*") if path.is_file() and not path.is_symlink())
    if len(files) > MOST_FILES:
        logger.warning(
            "%s holds %d files: the first %d are logged; pack the folder to log them all",
            source,
            len(files),
            MOST_FILES,
        )
        if left_out is not None:
            left_out.extend(files[MOST_FILES:])
    for path in files[:MOST_FILES]:
        yield from _fit(path, f"{start}/{path.relative_to(source).as_posix()}", left_out)


def _fit(path: Path, name: str, left_out: list[Path] | None) -> Iterator[tuple[Path, str]]:
    size = path.stat().st_size
    if size > LARGEST_FILE:
        logger.warning(
            "%s is not logged: it holds %.1f GiB, an artifact at most %d; log it in parts",
            path,
            size / 2**30,
            LARGEST_FILE >> 30,
        )
        if left_out is not None:
            left_out.append(path)
        return
    yield path, name


def upload(sender: Sender, run_id: str, path: str, source: Path) -> None:
    """Store a file as the run's artifact `path`, read piece by piece, and again after a broken connection.

    Raises ApiError, ConnectionFailed after the last attempt, OSError for a file that cannot be read.
    """
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    target = f"{_PLACE}/{quote(run_id)}/{quote(path)}"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with source.open("rb") as file:
                sender.send("PUT", target, body=file, content_type=kind)
        except (ConnectionFailed, ApiError) as error:
            if attempt == ATTEMPTS or not passing(error):
                raise
        else:
            return
        clock.sleep(_PAUSE_SECONDS * attempt)


def upload_text(sender: Sender, run_id: str, path: str, text: str) -> None:
    """Store a text as the run's artifact `path`; errors as of `upload`."""
    kind = mimetypes.guess_type(path)[0] or "text/plain"
    sender.send("PUT", f"{_PLACE}/{quote(run_id)}/{quote(path)}", body=text.encode(), content_type=kind)


def passing(error: Exception) -> bool:
    """Whether the same may succeed later: nobody answered, or the server could not just now."""
    if isinstance(error, ApiError):
        return error.status in RETRIED_STATUS or error.status == 408 or error.status in (500, 502, 504)
    return isinstance(error, ConnectionFailed)
