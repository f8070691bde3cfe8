"""How the gateway scales over workers, and what a restart under load does to its calls.

    python benchmarks/scale.py [--seconds 5] [--cycles 3] [--variant full]

`penstock up` with one and with two workers take turns behind the same load. On a machine with more than two cores the
mock provider and the load have cores of their own and calls per second count. On two cores they share them with the
workers, so that what counts is CPU: `capacity` is what two workers could serve on two free cores of their own, by the
CPU that a call costs them, relative to one worker on one core; `rate` is what was seen. Then `penstock restart`
replaces every process twice while calls and streams go on: `bad` and `lost` count those that failed,
and `said` what the commonest bad answers said.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from servers import VARIANTS, Bench, cpu_ns, family


def workers(bench: Bench, name: str) -> list[int]:
    """Return the web processes of a server."""
    return [
        pid for pid in family(bench.pids[name]) if b"web_worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def slice_of(bench: Bench, name: str, seconds: float) -> dict[str, float]:
    """Load a server for a while."""
    pids = workers(bench, name)
    before = [cpu_ns(pid) for pid in pids]
    said = bench.run(name, "whole", core=None, connections=32, seconds=seconds, size=2162)
    assert not said["bad"], said
    used = [cpu_ns(pid) - start for pid, start in zip(pids, before, strict=True)]
    return {
        "rate": said["calls"] / seconds,
        "cpu_ms": sum(used) / said["calls"] / 1e6,
        "share": min(used) / max(used),
    }


def restart_under_load(bench: Bench, name: str, seconds: float) -> dict[str, object]:
    """Replace every process twice while calls and streams go on; returns what became of these."""
    found: dict[str, dict] = {}

    def calls() -> None:
        found["calls"] = bench.run(name, "whole", core=None, connections=16, seconds=seconds, size=2162)

    def streams() -> None:
        found["streams"] = bench.run(name, "streams", core=None, count=100, model="s20x1000", timeout=60)

    threads = [threading.Thread(target=calls), threading.Thread(target=streams)]
    for thread in threads:
        thread.start()
    home = str(bench.folder / name)
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-m", "penstock", "restart", "--home", home],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    for thread in threads:
        thread.join()
    return {
        "calls": found["calls"]["calls"],
        "bad": found["calls"]["bad"],
        "lost": found["calls"]["lost"],
        "said": found["calls"]["said"],
        "streams": 100,
        "streams_finished": found["streams"]["finished"],
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--restart-seconds", type=float, default=30)
    parser.add_argument("--variant", choices=VARIANTS, default="full")
    options = parser.parse_args()
    samples: dict[str, list[dict[str, float]]] = {"up1": [], "up2": []}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            mock = bench.start_mock(core=None)
            bench.start_up(mock, options.variant, 1)
            bench.start_up(mock, options.variant, 2)
            for cycle in range(options.cycles + 1):
                for name, found in samples.items():
                    one = slice_of(bench, name, options.seconds)
                    if cycle:
                        found.append(one)
            restarted = restart_under_load(bench, "up2", options.restart_seconds)
        finally:
            bench.stop()
    medians = {
        name: {key: round(statistics.median(each[key] for each in found), 4) for key in found[0]}
        for name, found in samples.items()
    }
    one, two = medians["up1"], medians["up2"]
    result = {
        "workers": medians,
        "rate": round(two["rate"] / one["rate"], 2),
        "capacity": round(2 * one["cpu_ms"] / two["cpu_ms"], 2),
        "budget": 1.8,
        "restart": restarted,
        "cores": os.cpu_count(),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
