"""The two containers of Inspect logs: a JSON document, and the .eval archive."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import zstandard

from penstock.core.errors import Invalid, TooLarge
from penstock.evals.exchange.recorded import document

ZSTANDARD = 93
"""The compression method of ZIP archives (APPNOTE 4.4.5) that recent Inspect versions write."""
MAX_UNPACKED = 1024 * 1024 * 1024
_LOCAL_HEADER = 30
_MAGIC = b"PK\x03\x04"


def is_archive(content: bytes) -> bool:
    """Whether `content` is a ZIP archive."""
    return content.startswith(_MAGIC)


def read_archive(content: bytes) -> dict[str, Any]:
    """Return an .eval archive as the log it stands for, samples included.

    Raises Invalid for an archive that is no Inspect log or is not finished, TooLarge when it unpacks to more than
    a gigabyte. Format: `header.json` and `samples/<id>_epoch_<n>.json`, a later member of the same name
    replacing an earlier one (inspect_ai 0.3, log/_recorders/eval.py).
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {info.filename: info for info in archive.infolist()}
            if sum(info.file_size for info in members.values()) > MAX_UNPACKED:
                raise TooLarge("The .eval log unpacks to more than a gigabyte.", hint="Split the evaluation.")
            if "header.json" not in members:
                raise Invalid(
                    "The archive has no header.json: it is no Inspect log, or one that was never finished."
                )
            log = document(_member(content, archive, members["header.json"]), "Inspect log")
            if not isinstance(log, dict):
                raise Invalid("The archive's header.json is not an object.")
            return {**log, "samples": list(_samples(content, archive, members))}
    except zipfile.BadZipFile as error:
        raise Invalid(f"The .eval log is damaged: {error}.") from error


def _samples(
    content: bytes, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]
) -> Iterator[dict[str, Any]]:
    for name, info in members.items():
        if name.startswith("samples/") and name.endswith(".json"):
            yield document(_member(content, archive, info), "Inspect sample")


def _member(content: bytes, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.compress_type != ZSTANDARD:
        return archive.read(info)
    # The local header repeats name and extra field, whose lengths may differ from those in the directory.
    start = info.header_offset
    if content[start : start + 4] != _MAGIC:
        raise Invalid(f"The .eval log is damaged at {info.filename}.")
    name, extra = (int.from_bytes(content[start + at : start + at + 2], "little") for at in (26, 28))
    packed = content[start + _LOCAL_HEADER + name + extra :][: info.compress_size]
    try:
        with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as reader:
            unpacked = reader.read(info.file_size + 1)
    except zstandard.ZstdError as error:
        raise Invalid(f"The .eval log is damaged at {info.filename}: {error}.") from error
    if len(unpacked) != info.file_size:
        raise Invalid(f"The .eval log is damaged at {info.filename}: its length is not the one announced.")
    return unpacked


def write_archive(members: Mapping[str, bytes]) -> bytes:
    """Return an archive of the members, deflated: every version of Inspect reads that. Equal members give equal
    archives.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(info, content, compress_type=zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
