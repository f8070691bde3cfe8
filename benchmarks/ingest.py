"""What it costs to register rows: CPU seconds and peak memory, whole and per stage, at several sizes in one run.

Run: OMP_NUM_THREADS=1 python benchmarks/ingest.py [rows] [--small SHARE] [--texts N] [--only-large] [--no-profile]

Made on the spot: a JSON Lines file of `rows` tickets of about 250 bytes (1,000,000 unless told), and one
of a `SHARE` (a tenth) of them. Each is ingested into a home of its own by a process of its own, with
splits and three expectations, once as it is and once without a profile; the profile's part is the
difference. `--texts 70` makes rows of 10 kB of 70 such texts each (of 4,096 different ones), so that a
million of them are 10 GB; `--only-large` measures the whole file alone, once (`--no-profile`: so).

Peak memory is the kernel's (VmHWM) of that process, Delta Lake's writer included. If memory does not
depend on the rows, the larger file needs what the smaller one needs; `bytes_per_row` is what the
difference comes to.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from penstock.core.home import Home
from penstock.core.scope import system_actor
from penstock.datasets import contract_service, profile, service

WORDS = [
    a + b
    for a in ("ba", "ke", "li", "mo", "nu", "ri", "ta", "so")
    for b in ("der", "fin", "gle", "han", "jor")
]
CHECKS = [
    {"check": "required", "column": "text"},
    {"check": "unique", "columns": ["id"]},
    {"check": "range", "column": "price", "min": 0, "action": "warn"},
]


def write(path: Path, rows: int, texts: int) -> None:
    """Write `rows` tickets of so many texts each."""
    chance = random.Random(1)
    known = [" ".join(chance.choices(WORDS, k=24)) for _ in range(4096)] if texts > 1 else []
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            row = {
                "id": f"t{number}",
                "text": " ".join(chance.choices(known, k=texts) if known else chance.choices(WORDS, k=24)),
                "label": chance.choice(("billing", "technical", "account")),
                "price": round(chance.random() * 100, 2),
            }
            file.write(json.dumps(row) + "\n")


def peak_mb() -> float:
    """Return the most memory this process ever held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measure(path: Path, with_profile: bool) -> dict[str, Any]:
    """Ingest the file in this process; returns what it cost."""
    stages: dict[str, float] = {}
    began = time.process_time()
    last: list[Any] = ["starting", began]

    def watch(report: dict[str, Any]) -> None:
        now = time.process_time()
        stages[last[0]] = round(stages.get(last[0], 0.0) + now - last[1], 2)
        last[:] = [report["stage"], now]

    empty = {"text": {}, "columns": [], "labels": {}, "rows": 0, "exact_duplicates": 0}
    left_out = patch.object(profile, "profile", lambda *_, **__: empty)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, Home.open(folder) as home:
        actor = system_actor()
        with home.begin() as uow:
            service.create(uow, actor, name="d")
            contract_service.set_expectations(uow, actor, name="d", plain={"checks": CHECKS})
        options: dict[str, Any] = {"splits": {"train": 0.9, "test": 0.1}, "progress": watch}
        if with_profile:
            version = service.ingest(home, actor, name="d", source=path, **options)
        else:
            with left_out:
                version = service.ingest(home, actor, name="d", source=path, **options)
    watch({"stage": "end"})
    return {
        "rows": version.rows,
        "cpu_s": round(time.process_time() - began, 2),
        "peak_mb": round(peak_mb(), 1),
        "stages_cpu_s": stages,
    }


def child(path: Path, with_profile: bool) -> dict[str, Any]:
    """Measure in a process of its own."""
    arguments = [sys.executable, __file__, "--file", str(path)] + ([] if with_profile else ["--no-profile"])
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Run and print the figures as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--small", type=float, default=0.1)
    parser.add_argument("--texts", type=int, default=1)
    parser.add_argument("--only-large", action="store_true")
    parser.add_argument("--file", type=Path)
    parser.add_argument("--no-profile", action="store_true")
    given = parser.parse_args()
    if given.file is not None:
        print(json.dumps(measure(given.file, not given.no_profile)))
        return
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in (("small", int(given.rows * given.small)), ("large", given.rows)):
            if given.only_large and name == "small":
                continue
            path = Path(folder) / f"{name}.jsonl"
            write(path, rows, given.texts)
            figures[f"{name}_file_mb"] = round(path.stat().st_size / 1e6, 1)
            figures[name] = child(path, with_profile=not given.no_profile)
            if given.only_large:
                break
            figures[f"{name}_without_profile"] = child(path, with_profile=False)
    for kind in () if given.only_large else ("", "_without_profile"):
        small, large = figures[f"small{kind}"], figures[f"large{kind}"]
        more = (large["peak_mb"] - small["peak_mb"]) * (1 << 20)
        figures[f"bytes_per_row{kind}"] = round(more / (large["rows"] - small["rows"]), 1)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
