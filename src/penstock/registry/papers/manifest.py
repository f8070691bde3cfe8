"""Signed manifests: which files a version consists of, signed by this installation.

A manifest is a DSSE envelope (https://github.com/secure-systems-lab/dsse, protocol v1.0.2) around an in-toto
Statement v1 (https://in-toto.io/Statement/v1) whose subjects are the files with their SHA-256. The key is Ed25519
(RFC 8032); one per tenant, made at first need.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.core.scope import Scope
from penstock.core.uow import UnitOfWork
from penstock.registry.model import FileEntry, ModelVersion
from penstock.registry.papers import store
from penstock.registry.papers.model import SigningKey, Verdict

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:penstock:model-version:v1"
FILE = "penstock-manifest.json"
"""The manifest's name in an exported folder."""
PURPOSE = "registry signing key"


def _sealed_key() -> tuple[str, str, bytes]:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    return hashlib.sha256(public).hexdigest(), base64.b64encode(public).decode(), private.private_bytes_raw()


def signing_key(uow: UnitOfWork, scope: Scope) -> SigningKey:
    """Return the tenant's newest key, made if there is none or the vault cannot open it any more."""
    for held in store.list_keys(uow.conn, scope)[:1]:
        if _private(uow, held) is not None:
            return held
    key_id, public, private = _sealed_key()
    sealed = uow.home.vault.seal(private, purpose=PURPOSE)
    key = SigningKey(key_id=key_id, public=public, sealed=sealed, created_at=clock.now())
    store.insert_key(uow.conn, scope, key)
    return key


def _private(uow: UnitOfWork, key: SigningKey) -> Ed25519PrivateKey | None:
    try:
        return Ed25519PrivateKey.from_private_bytes(uow.home.vault.open(key.sealed, purpose=PURPOSE))
    except Invalid:
        # The vault's key was replaced: what was signed before still verifies by the public half.
        return None


def statement(version: ModelVersion, files: tuple[FileEntry, ...]) -> dict[str, Any]:
    """Return the statement that these files are the version."""
    return {
        "_type": STATEMENT,
        "subject": [{"name": entry.path, "digest": {"sha256": entry.sha256}} for entry in files],
        "predicateType": PREDICATE,
        "predicate": {
            "model": version.model,
            "version": version.number,
            "kind": str(version.kind),
            "base": version.base,
            "digest": version.digest,
            "registered": clock.iso(version.created_at),
            "author": version.author,
        },
    }


def sign(uow: UnitOfWork, scope: Scope, said: dict[str, Any]) -> dict[str, Any]:
    """Return the DSSE envelope of the statement."""
    key = signing_key(uow, scope)
    private = Ed25519PrivateKey.from_private_bytes(uow.home.vault.open(key.sealed, purpose=PURPOSE))
    payload = msgspec.json.encode(said)
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [
            {"keyid": key.key_id, "sig": base64.b64encode(private.sign(_encoded(payload))).decode()}
        ],
    }


def read(path: Path) -> dict[str, Any] | None:
    """Return the envelope in a file, None when there is none; what is no JSON object reads as an empty one."""
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is really signed."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


class _Signed(msgspec.Struct, frozen=True):
    keyid: str
    sig: str


class _Envelope(msgspec.Struct, frozen=True):
    payload: str
    payloadType: str
    signatures: list[_Signed]


def check(
    envelope: dict[str, Any] | None, files: tuple[FileEntry, ...], keys: dict[str, str], *, ref: str = ""
) -> Verdict:
    """Hold a manifest against `files` (in any order) and the public `keys` (key id → base64) that are trusted.

    With `ref` the manifest must be that version's. Never raises: what is wrong is among the verdict's problems.
    """
    if envelope is None:
        return Verdict(signed=False, problems=("There is no signed manifest.",))
    try:
        read = msgspec.convert(envelope, _Envelope)
        payload = base64.b64decode(read.payload, validate=True)
        signer = _signer(read, payload, keys)
        said = msgspec.json.decode(payload, type=dict[str, Any])
        listed = {one["name"]: one["digest"]["sha256"] for one in said["subject"]}
        named = f"{said['predicate']['model']}@{said['predicate']['version']}"
    except Invalid as error:
        return Verdict(signed=True, problems=(error.message,))
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
        return Verdict(signed=True, problems=(f"The manifest cannot be read: {error}.",))
    problems = _differences(listed, {entry.path: entry.sha256 for entry in files})
    if ref and named != ref:
        problems.append(f"The manifest is that of {named}, not of {ref}.")
    return Verdict(signed=True, key_id=signer, problems=tuple(problems))


def _signer(envelope: _Envelope, payload: bytes, keys: dict[str, str]) -> str:
    if envelope.payloadType != PAYLOAD_TYPE:
        raise Invalid(f"The manifest is of an unknown type, {envelope.payloadType!r}.")
    known = [one for one in envelope.signatures if one.keyid in keys]
    if not known:
        raise Invalid("The manifest is signed by a key that is not trusted here.")
    for one in known:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(keys[one.keyid], validate=True))
        try:
            public.verify(base64.b64decode(one.sig, validate=True), _encoded(payload))
        except InvalidSignature:
            continue
        return one.keyid
    raise Invalid("The manifest's signature does not hold: it was changed after it was signed.")


def _differences(listed: dict[str, str], present: dict[str, str]) -> list[str]:
    missing = [f"{name} is missing." for name in sorted(listed.keys() - present.keys())]
    added = [f"{name} is not in the manifest." for name in sorted(present.keys() - listed.keys())]
    both = sorted(listed.keys() & present.keys())
    return missing + added + [f"{name} was changed." for name in both if listed[name] != present[name]]
