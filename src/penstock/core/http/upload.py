"""Request bodies that are files."""

from collections.abc import AsyncIterator
from pathlib import Path

from penstock.core.disk import storage_error
from penstock.core.errors import TooLarge


async def save_upload(stream: AsyncIterator[bytes], path: Path, limit_mb: int, *, instead: str) -> int:
    """Write a request body to `path` as it arrives; returns its size in bytes.

    Raises TooLarge, which names the command `instead` that takes larger files, and StorageFull.
    """
    size = 0
    try:
        with path.open("wb") as file:
            async for piece in stream:
                size += len(piece)
                if size > limit_mb << 20:
                    raise TooLarge(
                        f"The file is larger than {limit_mb} MB.",
                        hint=f"Raise [server] max_upload_mb, or use {instead} on the server.",
                    )
                file.write(piece)
    except OSError as error:
        full = storage_error(error, path.parent)
        if full is None:
            raise
        raise full from error
    return size
