"""What an error of the operating system says about the disk."""

import errno
from pathlib import Path

from penstock.core.errors import StorageFull


def storage_error(error: Exception, where: Path) -> StorageFull | None:
    """Return the error to show when `error` means a full or read-only disk; None for any other error."""
    text = str(error).lower()
    code = getattr(error, "errno", None)
    if (
        code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        or "no space left" in text
        or "file too large" in text
    ):
        return StorageFull(f"The disk that holds {where} is full; nothing was kept.", hint="Free some space.")
    if code in (errno.EROFS, errno.EACCES, errno.EPERM) or "read-only" in text or "permission denied" in text:
        return StorageFull(
            f"{where} cannot be written (read-only or no permission); nothing was kept.",
            hint="Fix its permissions, or choose another --home.",
        )
    return None
