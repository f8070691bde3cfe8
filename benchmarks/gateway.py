"""What a call through the gateway costs: CPU per call, per streamed chunk, memory per slow stream.

    python benchmarks/gateway.py [--cycles 3] [--seconds 3] [--peers]

A mock provider in C and the load run on core 0, the measured servers on core 1. The gateway with all switched off
(`bare`), with traces, with everything on (`full`), plain nginx, a proxy in Python that does nothing else (`floor`) and,
with --peers, other gateways take turns within one run, so that ratios hold whatever the machine does. Every call has a
body of its own, so that the cache never answers. `background_ms` is what moving a call's trace into the database costs
the background process, on core 0. `python` tells how the interpreter was built (see interpreter.py).
CPU is /proc/PID/task/*/schedstat, summed over threads. Needs `cc`, `nginx`, `taskset` and two cores.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from interpreter import described
from servers import HERE, VARIANTS, Bench, cpu_ns, free_port, rss_kb

BUDGET = {
    "call_ms": {"full": 0.20, "bare": 0.10, "full/nginx": 10},
    "long_ms": {"full": 1.6},
    "chunk_us": {"full": 80, "full/nginx": 4},
    "delay_ms": {"full/nginx": 2},
    "stream_kb": 40,
}
Samples = dict[str, dict[str, list[float]]]


def kinds(seconds: float) -> dict[str, tuple[str, str, dict, float]]:
    """Return figure → (kind of load, what is counted, arguments, scale)."""
    return {
        "call_ms": ("whole", "calls", {"connections": 16, "seconds": seconds, "size": 2162}, 1e6),
        "long_ms": ("whole", "calls", {"connections": 4, "seconds": seconds, "size": 300_000}, 1e6),
        "chunk_us": ("streams", "chunks", {"count": 100, "model": "s50x20", "timeout": 30}, 1e3),
        "burst_chunk_us": ("streams", "chunks", {"count": 8, "model": "s400x0", "timeout": 30}, 1e3),
    }


def measure(bench: Bench, names: list[str], cycles: int, seconds: float) -> Samples:
    """Return server → figure → samples; the first cycle warms up."""
    samples: Samples = {name: {} for name in names}
    for cycle in range(cycles + 1):
        for figure, (kind, per, arguments, scale) in kinds(seconds).items():
            for name in names:
                recorder = bench.background.get(name)
                before = cpu_ns(recorder) if recorder else 0
                cost, said = bench.cost(name, kind, per, **arguments)
                if not cycle:
                    continue
                if recorder and figure == "call_ms":
                    used = (cpu_ns(recorder) - before) / said[per] / scale
                    samples[name].setdefault("background_ms", []).append(used)
                samples[name].setdefault(figure, []).append(cost / scale)
                if figure == "chunk_us" and said["delay_p50_ms"] is not None:  # some gateways drop the stamps
                    samples[name].setdefault("delay_ms", []).append(said["delay_p50_ms"])
    return samples


def slow_streams(bench: Bench, name: str, count: int) -> dict[str, float]:
    """Return memory and CPU of `count` streams with a chunk a second."""
    pid = bench.pids[name]
    before, used = rss_kb(pid), cpu_ns(pid)
    more = {"count": count, "model": "s20x1000", "timeout": 60}
    arguments = {"port": bench.ports[name], "key": bench.keys[name], **more}
    command = ["taskset", "-c", "0", sys.executable, str(HERE / "load.py"), "streams", json.dumps(arguments)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    peak = before
    while child.poll() is None:
        peak = max(peak, rss_kb(pid))
        time.sleep(0.1)
    assert child.stdout is not None
    result = json.loads(child.stdout.read())
    return {
        "finished": result["finished"],
        "stream_kb": round((peak - before) / count, 1),
        "peak_mb": round(peak / 1024, 1),
        "cpu_s": round((cpu_ns(pid) - used) / 1e9, 2),
    }


def start_peers(bench: Bench, mock: int) -> list[str]:
    """Start the gateways that install here."""
    import peers

    found = [
        peers.start_litellm(bench.folder, mock, 1, free_port()),
        peers.start_tensorzero(bench.folder, mock, 1),
    ]
    for peer in found:
        bench.children.append(peer.process)
        bench.pids[peer.name], bench.ports[peer.name] = peer.process.pid, peer.port
        bench.keys[peer.name] = peer.key
        bench.extra[peer.name] = {"path": peer.path, "prefix": peer.prefix}
    return [peer.name for peer in found]


def summary(samples: Samples) -> dict:
    """Return medians, and each server's ratio to nginx."""
    medians = {
        name: {figure: round(statistics.median(found), 4) for figure, found in figures.items()}
        for name, figures in samples.items()
    }
    floor = medians["nginx"]
    ratios = {
        name: {
            figure: round(found / floor[figure], 2) for figure, found in figures.items() if floor.get(figure)
        }
        for name, figures in medians.items()
        if name != "nginx"
    }
    return {"medians": medians, "ratio_to_nginx": ratios}


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--variants", default=",".join(VARIANTS), help=f"of {', '.join(VARIANTS)}")
    parser.add_argument("--peers", action="store_true", help="LiteLLM and TensorZero, installed on first use")
    options = parser.parse_args()
    variants = options.variants.split(",")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            mock = bench.start_mock()
            bench.start_nginx(mock)
            bench.start_floor(mock)
            for variant in variants:
                bench.start_gateway(mock, variant)
            peers = start_peers(bench, mock) if options.peers else []
            found = summary(
                measure(bench, ["nginx", "floor", *variants, *peers], options.cycles, options.seconds)
            )
            if options.streams:
                found["slow_streams"] = slow_streams(bench, variants[-1], options.streams)
        finally:
            bench.stop()
    said = {"budget": BUDGET, "python": described(), "load_average": os.getloadavg()[0]}
    print(json.dumps(found | said, indent=2))


if __name__ == "__main__":
    main()
