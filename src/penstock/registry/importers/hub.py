"""A repository of the Hugging Face hub, fetched by its own library at one commit.

`penstock models import-hub NAME OWNER/REPOSITORY` runs this in a child process. Needs the `train` extra. The library
takes the hub's address from HF_ENDPOINT and the token for gated repositories from HF_TOKEN or its own login. Only
files that may enter the registry are fetched; code that a repository brings is not.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.core.errors import Invalid, Upstream

TEXTS = ("*.json", "*.txt", "*.md", "*.jinja", "*.model", "*.spm", "LICENSE*", "NOTICE*", "USE_POLICY*")

CLIENTS = ("httpx", "httpcore", "requests")
"""Modules whose errors mean that the hub could not be reached."""


def run(spec: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Fetch into the folder `output`.

    `spec`: `repository`, `revision` (branch, tag or commit), `output`, `file` (one .gguf of several; empty: none),
    `allow_pickles` (take `*.bin` where there are no safetensors), `known` (commits that need not be fetched). Returns
    `path`, `commit` and `files`, or `commit` and `here` for a known one. Raises Invalid for a repository, revision or
    file that is not there or may not be read, Upstream when the hub fails.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name, wanted = spec["repository"], spec.get("revision") or "main"
    try:
        path, commit = _fetch(spec, wanted, report)
    except GatedRepoError as error:
        raise Invalid(
            f"{name} is gated: its owner must let you in.",
            hint="Ask on its page, then set HF_TOKEN to a token of yours.",
        ) from error
    except RevisionNotFoundError as error:
        raise Invalid(f"{name} has no revision {wanted!r}.") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise Invalid(
            f"There is no model {name!r} on the hub, or it is private.",
            hint="Write it as OWNER/REPOSITORY; set HF_TOKEN for a private one.",
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise _unreachable(name, error) from error
    except Exception as error:
        # The library's HTTP client has had three names; its errors are told by their module.
        if not type(error).__module__.startswith(CLIENTS):
            raise
        raise _unreachable(name, error) from error
    if path is None:
        return {"commit": commit, "here": True}
    files = sum(1 for one in Path(path).rglob("*") if one.is_file() and ".cache" not in one.parts)
    return {"path": str(path), "commit": commit, "files": files}


def _fetch(
    spec: dict[str, Any], wanted: str, report: Callable[[dict[str, Any]], None]
) -> tuple[str | None, str | None]:
    """Return the folder, none for a known commit, and the commit that `wanted` stands for now."""
    from huggingface_hub import HfApi, snapshot_download

    endpoint = os.environ.get("HF_ENDPOINT") or None
    found = HfApi(endpoint=endpoint).model_info(spec["repository"], revision=wanted)
    if found.sha in (spec.get("known") or ()):
        return None, found.sha
    listed = [one.rfilename for one in found.siblings or ()]
    patterns = choose(listed, spec.get("file") or "", bool(spec.get("allow_pickles")))
    report({"stage": "fetch", "commit": found.sha, "files": len(listed)})
    path = snapshot_download(
        spec["repository"],
        revision=found.sha,
        local_dir=spec["output"],
        allow_patterns=patterns,
        endpoint=endpoint,
        max_workers=4,
    )
    return path, found.sha


def _unreachable(name: str, error: Exception) -> Upstream:
    return Upstream(
        f"{name} cannot be fetched, for the hub cannot be reached: {error}.",
        hint="Check the network and try again; or copy its files here and import them with "
        "`penstock models import-folder NAME FOLDER`.",
    )


def choose(listed: list[str], file: str, allow_pickles: bool) -> list[str]:
    """Return the patterns to fetch: texts, and of the weights the named file, safetensors, or the one .gguf.

    Raises Invalid when the repository holds no weights that may enter, or several .gguf and none was named.
    """
    ggufs = sorted(name for name in listed if name.endswith(".gguf"))
    if file:
        if file not in listed:
            raise Invalid(f"The repository has no file {file!r}.", hint=f"It has {', '.join(ggufs[:20])}.")
        return [file, *(name for name in listed if name.startswith(("LICENSE", "README")))]
    if any(name.endswith(".safetensors") for name in listed):
        return [*TEXTS, "*.safetensors"]
    if allow_pickles and any(name.endswith(".bin") for name in listed):
        return [*TEXTS, "pytorch_model*.bin", "adapter_model.bin"]
    if len(ggufs) == 1:
        return [ggufs[0], "LICENSE*", "README*"]
    if ggufs:
        raise Invalid("The repository holds several .gguf files.", hint=f"Name one: {', '.join(ggufs[:20])}.")
    raise Invalid(
        "The repository holds no weights as .safetensors or .gguf.",
        hint="Weights as pickles (.bin) are fetched with --allow-pickles only, and read before they are stored.",
    )
