"""The certificate of the gRPC port, read again when its files change."""

from collections.abc import Sequence
from pathlib import Path

import grpc

from penstock.core import log
from penstock.core.errors import Invalid

logger = log.get("traces.tls")

Stamp = tuple[int, ...]


class Certificate:
    """A certificate chain and its private key, two PEM files that somebody else renews."""

    def __init__(self, chain: Path, key: Path) -> None:
        """Raises Invalid when either file cannot be read."""
        self._files: Sequence[Path] = (key, chain)
        self._stamp, self._pair = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """Return what a port is opened with; new connections get the files as they are then."""
        return grpc.dynamic_ssl_server_credentials(
            grpc.ssl_server_certificate_configuration([self._pair]),
            self._renewed,
            require_client_authentication=False,
        )

    def _read(self) -> tuple[Stamp, tuple[bytes, bytes]]:
        try:
            key, chain = (file.read_bytes() for file in self._files)
            return self._stamps(), (key, chain)
        except OSError as error:
            raise Invalid(
                f"The certificate for OTLP over gRPC cannot be read: {error.filename}: {error.strerror}.",
                hint="Set [traces] grpc_certificate and grpc_key to two PEM files this program may read.",
            ) from error

    def _stamps(self) -> Stamp:
        return tuple(file.stat().st_mtime_ns for file in self._files)

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what is new, None when nothing is: then, and when it cannot be read, the old one goes on."""
        try:
            if self._stamps() == self._stamp:
                return None
            self._stamp, self._pair = self._read()
        except (OSError, Invalid) as error:
            logger.warning("the renewed certificate cannot be read", extra={"reason": str(error)})
            return None
        return grpc.ssl_server_certificate_configuration([self._pair])
