"""What serving through Penstock keeps of the bare engine's tokens per second, at 1, 8 and 32 clients.

    python -m benchmarks.serving [--engines llamacpp,onnx,ctranslate2,transformers] [--cycles 3] [--tokens 64]

A Qwen3 of about 28 million parameters is made on the spot, registered in every engine's format and deployed, one after
the other, on a running `penstock up` with one worker. The clients ask the replica itself (`bare`) and the gateway in
turns within one run, so that the ratio holds whatever the machine does. Both get the same prompts; answers have the
same length. Must: the ratio of the medians is at least 0.95.

Beside it stand the milliseconds of CPU per token: of the engine when it is asked itself, and what the gateway adds: all
that the server uses more of then, its idle time taken off. On a machine that others use too, speeds depend on
who else wants the processor; `cpu_kept`, the engine's share of both, does not.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import servers
from tests.fakes import tiny_model

from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.scope import Role
from penstock.gateway import service as gateway
from penstock.registry import service as registry
from penstock.serving import service

CLIENTS = (1, 8, 32)
SLOTS = 32
MUST = 0.95
PROMPTS = [f"Ticket {number}: my invoice was charged twice, please help." for number in range(64)]


def make_model(folder: Path) -> None:
    """Write a random Qwen3 with 28 M parameters: its speed is that of a trained one."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    folder.mkdir()
    tiny_model.save_tokenizer(folder)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=16_384,
        hidden_size=448,
        intermediate_size=1344,
        num_hidden_layers=8,
        num_attention_heads=7,
        num_key_value_heads=7,
        head_dim=64,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        eos_token_id=None,
        bos_token_id=1,
        pad_token_id=0,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)


def formats(base: Path, engine: str) -> tuple[Path, str]:
    """Return the model's folder in the engine's format and its kind in the registry."""
    made = base.parent / engine
    if engine == "transformers":
        return base, "base"
    if engine == "onnx":
        command = ["-m", "onnxruntime_genai.models.builder", "-i", str(base), "-o", str(made)]
        subprocess.run([sys.executable, *command, "-p", "fp32", "-e", "cpu"], check=True, capture_output=True)
        return made, "onnx"
    if engine == "ctranslate2":
        program = (
            "import sys; from ctranslate2.converters import TransformersConverter as C; "
            "C(sys.argv[1], copy_files=['tokenizer.json', 'tokenizer_config.json']).convert(sys.argv[2])"
        )
        command = ["-c", program, str(base), str(made)]
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        return made, "ctranslate2"
    made.mkdir()
    program = (
        "import sys; from penstock.registry.exporters import gguf; "
        "gguf.run({'source': sys.argv[1], 'output': sys.argv[2], 'quantization': 'f16', 'name': 'bench'}, print)"
    )
    subprocess.run([sys.executable, "-c", program, str(base), str(made)], check=True, capture_output=True)
    return made, "gguf"


def ask(url: str, key: str, model: str, clients: int, *, tokens: int, calls: int) -> float:
    """Return tokens per second of `clients` that each make `calls` calls one after the other."""
    place, count, failures = urlsplit(url).netloc, [0] * clients, []
    start = threading.Barrier(clients + 1)

    def work(client: int) -> None:
        connection = http.client.HTTPConnection(place, timeout=300)
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        start.wait()
        for call in range(calls):
            prompt = PROMPTS[(client * calls + call) % len(PROMPTS)]
            body = {"model": model, "prompt": prompt, "max_tokens": tokens, "temperature": 0}
            connection.request("POST", "/v1/completions", json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                failures.append(text[:300])
                break
            count[client] += json.loads(text)["usage"]["completion_tokens"]
        connection.close()

    threads = [threading.Thread(target=work, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit(f"a call failed: {failures[0]!r}")
    return sum(count) / (time.perf_counter() - began)


def spent(server: int, engine: int) -> tuple[int, int]:
    """Return the CPU nanoseconds so far of the engine, and of the rest of the server."""
    own = servers.cpu_ns(engine)
    return own, servers.cpu_ns(server) - own


def cpu_per_token(bare: list[tuple[float, ...]], through: list[tuple[float, ...]]) -> dict[str, float]:
    """Return milliseconds of CPU per token from tuples of tokens, seconds, and nanoseconds of engine and rest."""
    tokens, seconds, engine, idle = (sum(column) for column in zip(*bare, strict=True))
    made, lasted, busy, rest = (sum(column) for column in zip(*through, strict=True))
    alone = engine / tokens
    added = (busy + rest - idle / seconds * lasted) / made - alone
    return {
        "engine_cpu_ms": round(alone / 1e6, 3),
        "added_cpu_ms": round(added / 1e6, 3),
        "cpu_kept": round(alone / (alone + added), 3),
    }


def measure(
    home: Home, server: tuple[int, int, int], key: str, engine: str, given: argparse.Namespace
) -> list[dict]:
    """Return one row per number of clients; `server` is its port, its process and the engine's."""
    port, server_pid, engine_pid = server
    endpoint = "bench@1"
    with home.read() as uow:
        bare = gateway.list_endpoints(uow)[endpoint][0]
    ways = {"bare": (bare, endpoint), "gateway": (f"http://127.0.0.1:{port}", "bench")}
    rows = []
    for clients in CLIENTS:
        calls = max(2, given.calls // clients)
        samples: dict[str, list[float]] = {way: [] for way in ways}
        used: dict[str, list[tuple[float, ...]]] = {way: [] for way in ways}
        for cycle in range(given.cycles + 1):
            for way in ways if cycle % 2 else reversed(ways):
                url, model = ways[way]
                before = spent(server_pid, engine_pid)
                speed = ask(url, key, model, clients, tokens=given.tokens, calls=calls)
                after = spent(server_pid, engine_pid)
                if cycle:
                    made = clients * calls * given.tokens
                    samples[way].append(speed)
                    used[way].append((made, made / speed, after[0] - before[0], after[1] - before[1]))
        bare_median, through = (statistics.median(samples[way]) for way in ways)
        rows.append(
            {
                "engine": engine,
                "clients": clients,
                "bare_tokens_per_s": round(bare_median, 1),
                "gateway_tokens_per_s": round(through, 1),
                "kept": round(through / bare_median, 3),
                **cpu_per_token(used["bare"], used["gateway"]),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


def run(engine: str, base: Path, given: argparse.Namespace) -> list[dict]:
    """Deploy on one engine and measure."""
    folder, kind = formats(base, engine)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = base.parent / f"home-{engine}"
    options = {"slots": SLOTS, "threads": 1} | ({"context": 256} if engine == "llamacpp" else {})
    with Home.open(place) as home:
        with home.begin() as uow:
            actor = auth.ensure_owner(uow)[0].actor()
        registry.register(home, actor, name="bench", folder=folder, kind=kind)
        with home.begin() as uow:
            _, key = auth.create_key(uow, actor, name="bench", role=Role.MEMBER)
            service.deploy(uow, actor, name="bench", model="bench@1", engine=engine, options=options)
        command = [sys.executable, "-m", "penstock", "up", "--home", str(place), "--port", str(port)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as server:
            try:
                ready = service.until_ready(home, actor, name="bench", timeout=180)
                time.sleep(1)
                return measure(home, (port, server.pid, ready.production.replicas[0].pid), key, engine, given)
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(60)


def main() -> int:
    """Print one JSON line per measurement; the exit code is 1 when a ratio is below what it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", default="llamacpp")
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--calls", type=int, default=32, help="calls of all clients together in a cycle")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="penstock-serving-") as made:
        base = Path(made) / "base"
        make_model(base)
        rows = [row for engine in given.engines.split(",") for row in run(engine, base, given)]
    return int(any(row["kept"] < MUST for row in rows))


if __name__ == "__main__":
    sys.exit(main())
