"""TLS contexts, built once per trust setting: loading the authorities costs tens of milliseconds."""

import ssl
from functools import lru_cache

from penstock.core.errors import Invalid


@lru_cache(maxsize=64)
def client_context(verify: bool, ca_file: str) -> ssl.SSLContext:
    """Return a client context that trusts the system's authorities, or only those in `ca_file`.

    Raises Invalid when `ca_file` cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise Invalid(f"The authority file {ca_file} cannot be used: {error}.") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
