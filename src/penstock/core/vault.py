"""Secrets at rest: AES-256-GCM under a key file in the home that only its owner can read."""

import base64
import hashlib
import hmac
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from penstock.core.errors import Invalid

_VERSION = "v1"


class Vault:
    """Seals and opens short secrets such as provider keys."""

    def __init__(self, key_path: Path) -> None:
        key = _load_or_create(key_path)
        self._aead = AESGCM(key)
        self._marks = hmac.digest(key, b"penstock marks", "sha256")
        self._path = key_path

    def seal(self, secret: bytes, *, purpose: str = "") -> str:
        """Return `secret` encrypted as `v1.<base64>`; only the same `purpose` opens it."""
        nonce = os.urandom(12)
        sealed = nonce + self._aead.encrypt(nonce, secret, purpose.encode())
        return f"{_VERSION}.{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, sealed: str, *, purpose: str = "") -> bytes:
        """Return the secret of a text made by `seal`; raises Invalid when it was changed or the key is another."""
        version, _, body = sealed.partition(".")
        try:
            raw = base64.urlsafe_b64decode(body)
            if version != _VERSION:
                raise ValueError(version)
            return self._aead.decrypt(raw[:12], raw[12:], purpose.encode())
        except (ValueError, InvalidTag) as error:
            raise Invalid(
                "A stored secret cannot be opened.",
                hint=f"Was {self._path} replaced? Enter the secret again.",
            ) from error

    def mark(self, text: str, *, purpose: str) -> str:
        """Return 64 hex digits by which `text` is known again, though nobody without the key can tell it from them."""
        return hmac.new(self._marks, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()


def _load_or_create(path: Path) -> bytes:
    if not path.exists():
        # O_EXCL: when two processes start at once, exactly one writes the key and both read it.
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    key = path.read_bytes()
    if len(key) != 32:
        raise Invalid(f"{path} is damaged: it must hold 32 bytes.", hint="Restore it from a backup.")
    return key
