"""Small model folders for tests."""

import json
from pathlib import Path


def safetensors(values: int = 4) -> bytes:
    """A valid safetensors file with one float32 tensor."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}}).encode()
    return len(header).to_bytes(8, "little") + header + b"\0" * (4 * values)


def base_folder(folder: Path, more: dict[str, str] | None = None) -> Path:
    """A folder that passes for a Hugging Face model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["X"]}))
    (folder / "model.safetensors").write_bytes(safetensors())
    for name, text in (more or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def adapter_folder(folder: Path) -> Path:
    """A folder that passes for a LoRA adapter."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(safetensors())
    return folder
