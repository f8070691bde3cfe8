"""The opcode scanner: what a pickle would import is found without loading it; what cannot be read is refused."""

import io
import os
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import Invalid
from penstock.registry import pickles
from penstock.registry.model import Kind
from penstock.registry.scan import check_folder
from tests.registry.folders import base_folder


class Evil:
    """Runs a command when it is loaded."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch /tmp/never",)


def written(tmp_path: Path, data: bytes, name: str = "x.pkl") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def zipped(members: dict[str, bytes]) -> bytes:
    """Return an archive that says nothing of the time: tests are named by it, and processes agree on their names."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue()


@pytest.mark.parametrize("protocol", range(6))
def test_a_command_is_found_in_every_protocol(tmp_path: Path, protocol: int) -> None:
    path = written(tmp_path, pickle.dumps({"a": [Evil()]}, protocol))
    assert pickles.imports(path) == ["posix.system"]
    assert not Path("/tmp/never").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_and_containers_import_nothing_dangerous(tmp_path: Path, protocol: int) -> None:
    value = OrderedDict(a=[1, 2.5, "x", b"y", None, True], b={"k": (1, 2)}, c={3})
    found = pickles.imports(written(tmp_path, pickle.dumps(value, protocol)))
    assert set(found) <= pickles.HARMLESS
    assert "collections.OrderedDict" in found


def test_a_second_pickle_behind_a_harmless_one_is_read_too(tmp_path: Path) -> None:
    path = written(tmp_path, pickle.dumps([1]) + pickle.dumps(Evil()))
    assert pickles.imports(path) == ["posix.system"]


def test_names_in_the_memo_are_followed(tmp_path: Path) -> None:
    data = b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94" + b"00" + b"h\x00h\x01\x93" + b"\x8c\x01x\x85R."
    assert pickles.imports(written(tmp_path, data)) == ["posix.system"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04\x8c\x02os\x8c\x06system\x8c\x0bcollections\x8c\x0bOrderedDict00\x93.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x8c\x03tem0\x93.",
        b"\x80\x04h\x05h\x06\x93.",
        b"\x80\x02\x82\x01.",
    ],
)
def test_an_import_that_hides_its_name_counts_as_dangerous(tmp_path: Path, data: bytes) -> None:
    assert pickles.imports(written(tmp_path, data)) == [pickles.UNKNOWN]
    assert pickles.UNKNOWN not in pickles.HARMLESS


def torch_archive(inside: bytes, **more: bytes) -> bytes:
    """What torch.save writes: a pickle and the tensors' bytes beside it."""
    return zipped(
        {"archive/data.pkl": inside, "archive/data/0": bytes(16), "archive/version": b"3\n", **more}
    )


def test_archives_of_torch(tmp_path: Path) -> None:
    good = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00."
    assert pickles.imports(written(tmp_path, torch_archive(good), "a.bin")) == [
        "torch._utils._rebuild_tensor_v2"
    ]
    evil = torch_archive(pickle.dumps(Evil(), 2))
    assert pickles.imports(written(tmp_path, evil, "b.bin")) == ["posix.system"]
    script = torch_archive(good, **{"archive/code/__torch__.py": b"print()"})
    assert "code in archive/code/__torch__.py" in pickles.imports(written(tmp_path, script, "c.pt"))


def test_arrays_of_numpy(tmp_path: Path) -> None:
    np.save(tmp_path / "plain.npy", np.arange(5))
    np.save(tmp_path / "object.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "both.npz", a=np.arange(5), b=np.array([Evil()], dtype=object))
    assert pickles.imports(tmp_path / "plain.npy") == []
    assert "posix.system" in pickles.imports(tmp_path / "object.npy")
    assert "posix.system" in pickles.imports(tmp_path / "both.npz")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04",
        b"\x80\x04K\x01",
        pickle.dumps([1]) + b"garbage",
        b"PK\x03\x04" + bytes(40),
        zipped({"a/data.pkl": b"\x80\x04K\x01"}),
        zipped({"a/data.pkl": zipped({"x": b""})}),
        b"\x93NUMPY\x01\x00\x10\x00{'descr': '|O'}",
    ],
)
def test_what_cannot_be_read_to_its_end_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(Invalid, match="cannot be read as a pickle"):
        pickles.imports(written(tmp_path, data))


@given(data=st.binary(max_size=300), head=st.sampled_from([b"", b"\x80\x02", b"\x80\x04", b"PK\x03\x04"]))
def test_any_bytes_end_in_a_list_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, head: bytes
) -> None:
    path = written(tmp_path_factory.mktemp("fuzz"), head + data)
    try:
        found = pickles.imports(path)
    except Invalid:
        return
    assert found == sorted(found)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()


@given(
    value=st.recursive(
        SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
    ),
    protocol=st.integers(0, 5),
)
def test_the_scanner_agrees_with_pickle_on_plain_values(
    tmp_path_factory: pytest.TempPathFactory, value: Any, protocol: int
) -> None:
    data = pickle.dumps(value, protocol)
    wanted = {op.name for op, _, _ in pickletools.genops(data)} & {"GLOBAL", "STACK_GLOBAL"}
    found = pickles.imports(written(tmp_path_factory.mktemp("plain"), data))
    assert bool(found) == bool(wanted)
    assert set(found) <= pickles.HARMLESS


def pickled_base(folder: Path, data: bytes) -> Path:
    """A base model whose weights are a pickle."""
    base_folder(folder)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(data)
    return folder


def test_pickles_enter_by_leave_only_and_never_with_commands(tmp_path: Path) -> None:
    good = pickled_base(
        tmp_path / "good", torch_archive(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00.")
    )
    with pytest.raises(Invalid, match="it was refused"):
        check_folder(good, Kind.BASE)
    files, findings = check_folder(good, Kind.BASE, allow_pickles=True)
    assert [name for name, _ in files] == ["config.json", "pytorch_model.bin"]
    (finding,) = [one for one in findings if one.format == "pickle"]
    assert (finding.imports, finding.dangerous) == (("torch._utils._rebuild_tensor_v2",), ())
    evil = pickled_base(tmp_path / "evil", torch_archive(pickle.dumps(Evil(), 2)))
    with pytest.raises(Invalid, match=r"would import posix\.system"):
        check_folder(evil, Kind.BASE, allow_pickles=True)


def test_links_out_of_the_folder_and_damaged_gguf(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("s3cret")
    folder = base_folder(tmp_path / "a" / "b" / "m")
    (folder / "notes.txt").symlink_to(secret)
    with pytest.raises(Invalid, match="leads out of the folder"):
        check_folder(folder, Kind.BASE)
    (folder / "notes.txt").unlink()
    (folder / "parts").mkdir()
    (folder / "linked").symlink_to(folder / "parts", target_is_directory=True)
    with pytest.raises(Invalid, match="linked is a link to a folder; such links are not followed"):
        check_folder(folder, Kind.BASE)
    gguf = tmp_path / "g"
    gguf.mkdir()
    for head, why in (
        (struct.pack("<4sIQQ", b"GGUF", 3, 10**12, 0), "cut short"),
        (struct.pack("<4sIQQ", b"GGUF", 1, 0, 0), "version 1"),
    ):
        (gguf / "m.gguf").write_bytes(head)
        with pytest.raises(Invalid, match=why):
            check_folder(gguf, Kind.GGUF)
    (gguf / "m.gguf").write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 0, 0))
    assert len(check_folder(gguf, Kind.GGUF)[0]) == 1


def test_folders_of_other_engines(tmp_path: Path) -> None:
    onnx, ct2 = tmp_path / "onnx", tmp_path / "ct2"
    for folder, files in (
        (onnx, {"model.onnx": b"\x08\x07", "model.onnx.data": b"\x80\x04raw", "genai_config.json": b"{}"}),
        (ct2, {"model.bin": struct.pack("<I", 6) + b"x", "config.json": b"{}", "vocabulary.json": b"[]"}),
    ):
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_bytes(data)
    assert {one.format for one in check_folder(onnx, Kind.ONNX)[1]} == {"onnx", "json"}
    assert {one.format for one in check_folder(ct2, Kind.CTRANSLATE2)[1]} == {"ctranslate2", "json"}
    (ct2 / "model.bin").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(Invalid, match="refused"):
        check_folder(ct2, Kind.CTRANSLATE2)
