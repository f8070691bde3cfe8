"""What `penstock up` says when it serves: the address, a sign-in link, and on the first start an API key."""

import sys

from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.scope import Role


def sign_in_link(home: Home, url: str) -> str:
    """Return a link that signs the owner in once, within an hour."""
    with home.begin() as uow:
        owner, _ = auth.ensure_owner(uow)
        return f"{url}/signin?token={auth.create_sign_in(uow, owner)}"


def welcome(home: Home, url: str) -> None:
    """Print the address and the links on standard output; on the first start also make an API key."""
    with home.begin() as uow:
        owner, first = auth.ensure_owner(uow)
        secret = ""
        if first:
            _, secret = auth.create_key(
                uow, owner.actor(), name="first key", role=Role.ADMIN, any_project=True
            )
    lines = [
        f"Penstock is up at {url}",
        f"  data folder    {home.path}",
        f"  sign in once   {sign_in_link(home, url)}",
    ]
    if secret:
        lines.append(f"  first API key  {secret}   (shown this once)")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
