import pickle
import zipfile
from pathlib import Path

import pytest

from penstock.core.errors import Invalid
from penstock.registry.model import Kind
from penstock.registry.scan import check_folder
from tests.registry.folders import adapter_folder, base_folder, safetensors


def zipped() -> bytes:
    return b"PK\x03\x04" + bytes(20)


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("training_args.bin", b"anything", "training_args.bin is .* Python pickle"),
        ("pytorch_model.pt", b"", "Python pickle"),
        ("notes.txt", pickle.dumps({"a": 1}), "Python pickle"),
        ("weights.json", zipped(), "Python pickle"),
        ("model2.safetensors", safetensors()[:-3], "cut short"),
        ("model2.safetensors", b"short", "not a complete safetensors"),
        ("model2.safetensors", (2**62).to_bytes(8, "little") + b"{}", "not a complete safetensors"),
        ("model2.safetensors", (5).to_bytes(8, "little") + b"{oops", "damaged safetensors header"),
        ("m.gguf", b"GGML\0\0\0\0", "first bytes are wrong"),
        ("extra.json", b"{'single': 1}", "extra.json is not valid JSON"),
        ("run.sh", b"echo", "not stored with models"),
        ("modeling.py", b"import os", "not stored with models"),
        ("tool", b"#!/bin/sh\n", "program or binary"),
        ("data.txt", b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_refused_files(tmp_path: Path, name: str, data: bytes, why: str) -> None:
    folder = base_folder(tmp_path / "m")
    (folder / name).write_bytes(data)
    with pytest.raises(Invalid, match=why):
        check_folder(folder, Kind.BASE)


def test_a_real_torch_archive_is_refused(tmp_path: Path) -> None:
    folder = base_folder(tmp_path / "m")
    with zipfile.ZipFile(folder / "state", "w") as archive:
        archive.writestr("data.pkl", "x")
    with pytest.raises(Invalid, match="state is"):
        check_folder(folder, Kind.BASE)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Kind.ADAPTER, "no adapter_config.json and no adapter_model.safetensors"),
        (Kind.GGUF, "no \\*.gguf"),
    ],
)
def test_a_folder_of_another_kind(tmp_path: Path, kind: Kind, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        check_folder(base_folder(tmp_path / "m"), kind)


def test_missing_folder_and_two_ggufs(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="There is no folder"):
        check_folder(tmp_path / "nowhere", Kind.BASE)
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF\3\0\0\0")
    with pytest.raises(Invalid, match="several"):
        check_folder(tmp_path, Kind.GGUF)


def test_accepted(tmp_path: Path) -> None:
    folder = base_folder(
        tmp_path / "m", {"chat_template.jinja": "{{ x }}", "LICENSE": "Apache", "merges.txt": "a b"}
    )
    assert [name for name, _ in check_folder(folder, Kind.BASE)[0]] == [
        "LICENSE",
        "chat_template.jinja",
        "config.json",
        "merges.txt",
        "model.safetensors",
    ]
    assert len(check_folder(adapter_folder(tmp_path / "a"), Kind.ADAPTER)[0]) == 2
