"""What it costs to start Penstock and to leave it idle, to import it, to ask it for help, and to install it.

    python benchmarks/start.py [--repeats 3] [--idle 20] [--install] [--json]

Starts `penstock up --workers 1` on an empty home and again on the home that this left. CPU is the whole tree's: of the
living /proc/PID/task/*/schedstat, of the dead what the kernel added to their parents (/proc/PID/stat). Memory is PSS
(/proc/PID/smaps_rollup: pages that processes share count once in the sum), with RSS beside it. "Ready" is the first
/readyz that answers 200; "settled" is all CPU, the
background process's start with it, when the idle time begins.
`--install` makes an environment with the base set under constraints.txt and measures it (downloads it; takes minutes).
The package is compiled (.pyc) before the first start that counts. Needs Linux.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TICK = os.sysconf("SC_CLK_TCK")
SETTLE_SECONDS = 20
BUDGET = {
    "ready_s": 2.5,
    "memory_mb": 150,
    "import_s": 0.05,
    "help_s": 0.3,
    "install_mb": 350,
    "distributions": 45,
}


def environment(**more: str) -> dict[str, str]:
    """Return the environment of the measured processes: this checkout's package, loopback only."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    return {**kept, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "", **more}


def tree(pid: int) -> list[int]:
    """Return the process and its living descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            found += tree(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that the tree used so far, with those of descendants that have ended."""
    total = 0.0
    for member in tree(pid):
        try:
            for task in Path(f"/proc/{member}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0]) / 1e9
            ended = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()[13:15]
        except OSError:
            continue
        total += sum(map(int, ended)) / TICK
    return total


@dataclass
class Memory:
    """One process: its role, and PSS, private and RSS in MB."""

    role: str
    pss: float
    private: float
    rss: float


def memory(pid: int) -> list[Memory]:
    """Return the memory of every process of the tree."""
    rows = []
    for member in tree(pid):
        words = Path(f"/proc/{member}/cmdline").read_bytes().decode().split("\0")
        named = [place for place, word in enumerate(words) if word.startswith("penstock.")]
        role = words[0] if not named else words[named[0]].rpartition(".")[2]
        if role == "boot":
            role = words[named[0] + 1]
        sizes: dict[str, float] = {}
        for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()[1:]:
            name, size = line.split()[:2]
            sizes[name.rstrip(":")] = int(size) * 1024 / 1e6
        private = sizes["Private_Clean"] + sizes["Private_Dirty"]
        rows.append(Memory(role, round(sizes["Pss"], 1), round(private, 1), round(sizes["Rss"], 1)))
    return rows


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def start(home: Path, idle: float) -> dict[str, object]:
    """Start the server on `home`, stop it again; returns what it took."""
    port = free_port()
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock", "up", "--workers", "1", "--port", str(port), "--home", str(home)],
        env=environment(),
        stdout=subprocess.DEVNULL,
    )
    try:
        # Nothing listens before the command has opened its port, and what listens answers no one before it serves.
        while not is_ready(port):
            if process.poll() is not None or time.monotonic() - began > 120:
                raise SystemExit("penstock up did not get ready")
            time.sleep(0.02)
        ready, ready_wall = cpu_seconds(process.pid), time.monotonic() - began
        time.sleep(SETTLE_SECONDS)
        settled = cpu_seconds(process.pid)
        shown = memory(process.pid)
        time.sleep(idle)
        idle_cpu = (cpu_seconds(process.pid) - settled) / idle if idle else 0.0
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    return {
        "ready_s": ready,
        "ready_wall_s": ready_wall,
        "settled_s": settled,
        "idle_cpu": idle_cpu,
        "pss_mb": sum(row.pss for row in shown),
        "rss_mb": sum(row.rss for row in shown),
        "processes": [vars(row) for row in shown],
    }


def child_cpu(arguments: list[str]) -> float:
    """Return the CPU seconds of one run of a program."""
    before = os.times()
    subprocess.run(arguments, env=environment(), check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def import_cpu() -> float:
    """Return what `import penstock` adds to a Python that has started, in CPU seconds."""
    code = "import time; t = time.process_time(); import penstock; print(time.process_time() - t)"
    answer = subprocess.run([sys.executable, "-c", code], env=environment(), check=True, capture_output=True)
    return float(answer.stdout)


def install() -> dict[str, object]:
    """Make an environment with the base set; returns its size without the environment's own pip, and its parts."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder) / "bin" / "python"
        pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run(
            [*pip, "install", "-q", "-c", str(ROOT / "constraints.txt"), str(ROOT)],
            check=True,
            env=os.environ,
        )
        listed = json.loads(
            subprocess.run([*pip, "list", "--format", "json"], check=True, capture_output=True).stdout
        )
        names = [entry["name"] for entry in listed if entry["name"] not in ("pip", "setuptools")]
        packages = next((Path(folder) / "lib").glob("python*/site-packages"))
        sizes: dict[str, int] = {}
        for path in packages.rglob("*"):
            if path.is_file():
                part = path.relative_to(packages).parts[0]
                sizes[part] = sizes.get(part, 0) + path.stat().st_blocks * 512
        for own in ("pip", "setuptools"):
            sizes = {part: size for part, size in sizes.items() if not part.startswith(own)}
        largest = sorted(sizes.items(), key=lambda item: -item[1])[:8]
    return {
        "install_mb": sum(sizes.values()) / 1e6,
        "distributions": len(names),
        "largest_mb": {part: round(size / 1e6, 1) for part, size in largest},
    }


def measure(repeats: int, idle: float, installs: bool) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        child_cpu([sys.executable, "-m", "compileall", "-q", str(ROOT / "src" / "penstock")])
        empty, used = [], []
        for number in range(repeats):
            home = Path(folder) / str(number)
            empty.append(start(home, 0))
            used.append(start(home, idle))
    result: dict[str, object] = {"empty": median(empty), "used": median(used)}
    for name, run in (
        ("bare_python_s", lambda: child_cpu([sys.executable, "-c", "pass"])),
        ("import_s", import_cpu),
        ("help_s", lambda: child_cpu([sys.executable, "-m", "penstock", "--help"])),
    ):
        result[name] = statistics.median(run() for _ in range(max(5, repeats)))
    return result | (install() if installs else {})


def median(runs: list[dict[str, object]]) -> dict[str, object]:
    """Return the run whose CPU until ready is the middle one."""
    return sorted(runs, key=lambda run: run["ready_s"])[len(runs) // 2]


def report(result: dict) -> str:
    rows = []
    for name, home in (("an empty home", result["empty"]), ("a used home", result["used"])):
        rows += [
            (f"start to ready, {name}", f"{home['ready_s']:.2f} s CPU", f"≤ {BUDGET['ready_s']} s"),
            (f"… and the background process settled, {name}", f"{home['settled_s']:.2f} s CPU", ""),
        ]
    used = result["used"]
    rows += [
        ("idle memory, PSS of all processes", f"{used['pss_mb']:.0f} MB", f"≤ {BUDGET['memory_mb']} MB"),
        ("idle memory, RSS of all processes (shared pages counted again)", f"{used['rss_mb']:.0f} MB", ""),
    ]
    rows += [
        (
            f"… {row['role']}",
            f"{row['pss']:.0f} MB PSS, {row['private']:.0f} private, {row['rss']:.0f} RSS",
            "",
        )
        for row in used["processes"]
    ]
    rows += [
        ("idle CPU per second", f"{used['idle_cpu'] * 1000:.1f} ms", ""),
        (
            "`import penstock`",
            f"{result['import_s'] * 1000:.1f} ms CPU",
            f"≤ {BUDGET['import_s'] * 1000:.0f} ms",
        ),
        ("`penstock --help`", f"{result['help_s']:.2f} s CPU", f"≤ {BUDGET['help_s']} s"),
    ]
    if "install_mb" in result:
        rows += [
            ("base install", f"{result['install_mb']:.0f} MB", f"≤ {BUDGET['install_mb']} MB"),
            ("base install, distributions", str(result["distributions"]), f"≤ {BUDGET['distributions']}"),
        ]
    return "\n".join(
        ["| what | measured | budget |", "| --- | --- | --- |", *(f"| {' | '.join(row)} |" for row in rows)]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="What starting, idling, importing and installing cost.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--idle", type=float, default=20, help="seconds over which idle CPU is taken")
    parser.add_argument(
        "--install", action="store_true", help="also install the base set into a new environment"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = measure(arguments.repeats, arguments.idle, arguments.install)
    print(json.dumps(result, indent=2) if arguments.json else report(result))


if __name__ == "__main__":
    main()
