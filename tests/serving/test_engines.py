"""The contract of engines, on the in-memory twin and on llama.cpp."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import Cancelled, ChildFailed, Invalid, PenstockError
from penstock.serving import probe
from penstock.serving.engines.child import ask
from penstock.serving.ports import EngineProcess, Launch
from tests.fakes import trained
from tests.fakes.engine import FakeEngine, FakeProcess
from tests.serving import engine_folders
from tests.serving.engine_folders import MODULES, Case

Start = Callable[..., EngineProcess]
real = [pytest.mark.heavy, pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
CONTRACT = [
    "fake",
    "vllm",
    "external",
    *[pytest.param(name, marks=real) for name in ("llamacpp", "transformers", "onnx", "ctranslate2")],
]


@pytest.fixture
def elsewhere() -> Iterator[FakeProcess]:
    """A server that somebody else runs."""
    made = FakeProcess("there")
    yield made
    made.stop()


@pytest.fixture(params=CONTRACT)
def case(request: pytest.FixtureRequest, tmp_path: Path, elsewhere: FakeProcess) -> Case:
    if (module := MODULES.get(request.param)) and find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    return engine_folders.case(request.param, tmp_path, elsewhere.url)


@pytest.fixture
def start(case: Case, tmp_path: Path) -> Iterator[Start]:
    running: list[EngineProcess] = []

    def begin(**more: Any) -> EngineProcess:
        options = case.engine.check({**case.options, **more.pop("options", {})})
        folder = more.pop("folder", case.folder)
        given = {"name": "tiny@1", "log": tmp_path / "log", "timeout": 200.0, "cancelled": lambda: False}
        process = case.engine.start(folder, Launch(options=options, **{**given, **more}))
        running.append(process)
        return process

    yield begin
    for process in running:
        process.stop()


def test_a_started_engine_generates_a_token_on_loopback(start: Start) -> None:
    process = start()
    assert process.url.startswith("http://127.0.0.1:")
    assert process.exit_reason() is None
    probe.generate_one(process.url, "tiny@1", 30)
    assert process.busy() is False
    load = process.load()
    assert load is not None
    assert (load.running, load.waiting) == (0, 0)
    assert load.done > 0, "it has worked"


def test_two_engines_live_side_by_side(start: Start) -> None:
    first, second = start(), start(name="tiny@2")
    assert first.url != second.url
    first.stop()
    probe.generate_one(second.url, "tiny@2", 30)


def test_a_stopped_engine_is_gone_and_may_be_stopped_again(start: Start) -> None:
    process = start()
    process.stop()
    assert process.exit_reason()
    process.stop()
    with pytest.raises(ChildFailed, match="did not generate a first token"):
        probe.generate_one(process.url, "tiny@1", 5)


def test_options_are_checked(case: Case) -> None:
    full = case.engine.check(case.options)
    assert case.engine.check(full) == full
    with pytest.raises(Invalid, match="option"):
        case.engine.check({**case.options, "thread": 2})


def test_a_folder_without_a_model_is_refused(case: Case, start: Start, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"no |\.gguf"):
        start(folder=tmp_path / "empty")


def test_cancelling_leaves_nothing(case: Case, start: Start) -> None:
    if isinstance(case.engine, FakeEngine):
        pytest.skip("it starts at once")
    with pytest.raises(Cancelled):
        start(cancelled=lambda: True)


class TestLlamaCpp:
    pytestmark = real

    @pytest.fixture
    def case(self, tmp_path: Path) -> Case:
        return engine_folders.case("llamacpp", tmp_path)

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"treads": 1}, "Did you mean 'threads'"),
            ({"threads": 0}, "between 1 and 256"),
            ({"context": "much"}, "Expected `int`"),
            ({"cache": "q4"}, "Invalid enum value 'q4'"),
        ],
    )
    def test_wrong_options_say_what_is_right(self, case: Case, options: dict[str, Any], why: str) -> None:
        with pytest.raises(Invalid, match=why):
            case.engine.check(options)

    def test_a_killed_child_says_so(self, start: Start) -> None:
        process = start()
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while process.exit_reason() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert "killed by signal 9" in (process.exit_reason() or "")

    def test_a_damaged_file_names_llama_cpps_reason(self, start: Start, tmp_path: Path) -> None:
        whole = next(trained.gguf_folder().glob("*.gguf")).read_bytes()
        (tmp_path / "cut").mkdir()
        (tmp_path / "cut" / "m.gguf").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ChildFailed, match=r"(?s)could not start.*failed to load model"):
            start(folder=tmp_path / "cut")

    def test_a_busy_port_is_named(self, start: Start) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(ChildFailed, match=f"couldn't bind HTTP server socket.*{port}"):
                start(options={"port": port})

    def test_cancelling_and_running_out_of_time_leave_nothing(self, start: Start) -> None:
        with pytest.raises(Cancelled):
            start(cancelled=lambda: True)
        with pytest.raises(ChildFailed, match="within 0 seconds"):
            start(timeout=0.0)

    def test_busy_while_it_generates(self, start: Start) -> None:
        process = start(options={"context": 256})
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                probe.generate_one(process.url, "tiny@1", 30)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            deadline = time.monotonic() + 60
            while not process.busy():
                assert time.monotonic() < deadline, "a generating slot shows"
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert process.busy() is False

    def test_it_ends_with_the_process_that_started_it(self, tmp_path: Path) -> None:
        program = (
            "import sys, time\nfrom pathlib import Path\n"
            "from penstock.serving.engines.llamacpp import LlamaCppEngine\n"
            "from penstock.serving.ports import Launch\n"
            "engine = LlamaCppEngine()\n"
            "launch = Launch(name='t', options=engine.check({}), log=Path(sys.argv[2]), timeout=60,"
            " cancelled=lambda: False)\n"
            "process = engine.start(Path(sys.argv[1]), launch)\n"
            "print(process.pid, flush=True)\ntime.sleep(60)\n"
        )
        command = [sys.executable, "-c", program, str(trained.gguf_folder()), str(tmp_path / "log")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            assert Path(f"/proc/{pid}").exists()
            parent.kill()
        deadline = time.monotonic() + 60
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < deadline, "the engine outlived its parent"
            time.sleep(0.05)


def test_an_engine_that_never_answers_is_not_ready() -> None:
    process = FakeProcess("x")
    try:
        process.hold.clear()
        with pytest.raises(PenstockError, match="did not generate a first token"):
            probe.generate_one(process.url, "x", 0.2)
    finally:
        process.hold.set()
        process.stop()


def completion(url: str, **more: Any) -> tuple[int, Any]:
    body = {"model": "tiny@1", "prompt": "My invoice", "max_tokens": 40, "temperature": 0, **more}
    status, text = ask(url, "POST", "/v1/completions", body, timeout=60)
    return status, text if more.get("stream") else json.loads(text)


class TestVllm:
    @pytest.fixture
    def case(self, tmp_path: Path) -> Case:
        return engine_folders.case("vllm", tmp_path)

    def test_every_option_becomes_an_argument_that_vllm_knows(self, start: Start) -> None:
        options = {
            "context": 2048,
            "slots": 8,
            "gpus": 2,
            "gpu_memory": 0.5,
            "dtype": "bfloat16",
            "quantization": "awq",
            "adapters": 4,
            "adapter_rank": 32,
            "arguments": ["--enforce-eager"],
        }
        process = start(options=options, gpus=(2, 3))
        probe.generate_one(process.url, "tiny@1", 10)
        environment = json.loads(ask(process.url, "GET", "/environment")[1])
        assert environment["CUDA_VISIBLE_DEVICES"] == "2,3"

    def test_an_argument_that_vllm_refuses_is_shown_with_its_words(self, start: Start) -> None:
        with pytest.raises(ChildFailed, match="unrecognized arguments: --no-such-thing"):
            start(options={"arguments": ["--no-such-thing"]})

    def test_adapters_are_loaded_and_unloaded_while_it_runs(self, start: Start, tmp_path: Path) -> None:
        process = start(options={"adapters": 2})
        (tmp_path / "adapter").mkdir()
        with pytest.raises(ChildFailed, match="no adapter there"):
            process.add_adapter("tiny@1:legal", tmp_path / "adapter")
        (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
        process.add_adapter("tiny@1:legal", tmp_path / "adapter")
        process.add_adapter("tiny@1:legal", tmp_path / "adapter")
        assert completion(process.url, model="tiny@1:legal")[0] == 200
        process.remove_adapter("tiny@1:legal")
        assert completion(process.url, model="tiny@1:legal")[0] == 404

    def test_a_missing_program_says_where_to_get_it(self, case: Case) -> None:
        with pytest.raises(Invalid, match="no program '/nowhere/vllm'") as refused:
            case.engine.check({"program": "/nowhere/vllm"})
        assert "environment of its own" in refused.value.hint

    def test_it_ends_with_the_process_that_started_it_although_it_does_not_look(
        self, case: Case, tmp_path: Path
    ) -> None:
        program = (
            "import sys, json, time\nfrom pathlib import Path\n"
            "from penstock.serving.engines.vllm import VllmEngine\n"
            "from penstock.serving.ports import Launch\n"
            "engine = VllmEngine()\n"
            "launch = Launch(name='t', options=engine.check({'program': sys.argv[3]}), log=Path(sys.argv[2]),"
            " timeout=60, cancelled=lambda: False)\n"
            "process = engine.start(Path(sys.argv[1]), launch)\n"
            "print(process.pid, process.url, flush=True)\ntime.sleep(60)\n"
        )
        command = [sys.executable, "-c", program, str(case.folder), str(tmp_path / "log")]
        command.append(case.options["program"])
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            url = parent.stdout.readline().split()[1]
            assert ask(url, "GET", "/health")[0] == 200
            parent.kill()
        gone(url)

    def test_killing_its_guard_ends_it(self, start: Start) -> None:
        process = start()
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        gone(process.url)


def gone(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            ask(url, "GET", "/health")
        except OSError:
            return
        assert time.monotonic() < deadline, "it outlived who started it"
        time.sleep(0.05)


class TestHosted:
    """What the engines do that our own server stands around: the same answers in every format."""

    pytestmark = real

    @pytest.fixture(params=["transformers", "onnx", "ctranslate2", "llamacpp"])
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        if (module := MODULES.get(request.param)) and find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
        return engine_folders.case(request.param, tmp_path)

    def test_greedy_answers_are_equal_in_every_engine(self, start: Start) -> None:
        process = start()
        status, answer = completion(process.url)
        assert status == 200
        assert (
            answer["choices"][0]["text"]
            == " 4711 was charged twice on 2026-03-14, please refund order 90210."
        )
        assert answer["choices"][0]["finish_reason"] == "stop"
        assert answer["usage"]["prompt_tokens"] == 3
        _, cut = completion(process.url, max_tokens=4)
        assert (cut["choices"][0]["finish_reason"], cut["usage"]["completion_tokens"]) == ("length", 4)
        _, stopped = completion(process.url, stop=[" twice", "never"])
        assert stopped["choices"][0]["text"] == " 4711 was charged"
        status, text = completion(process.url, stream=True, stream_options={"include_usage": True})
        events = [json.loads(line[6:]) for line in text.decode().split("\n\n") if line[6:7] == "{"]
        joined = "".join(choice["text"] for event in events for choice in event["choices"])
        assert joined == " 4711 was charged twice on 2026-03-14, please refund order 90210."
        assert events[-1]["usage"]["prompt_tokens"] == 3
        assert text.rstrip().endswith(b"data: [DONE]")

    def test_chat_uses_the_models_template(self, start: Start) -> None:
        process = start()
        messages = [{"role": "user", "content": [{"type": "text", "text": "My invoice"}]}]
        body = {"model": "tiny@1", "messages": messages, "max_tokens": 8, "temperature": 0}
        status, text = ask(process.url, "POST", "/v1/chat/completions", body, timeout=60)
        prompt = "<|user|>\nMy invoice\n<|end|>\n<|assistant|>\n"
        _, same = completion(process.url, prompt=prompt, max_tokens=8)
        found = json.loads(text)
        assert status == 200, text
        assert found["choices"][0]["message"]["content"] == same["choices"][0]["text"]
        assert found["usage"]["prompt_tokens"] == same["usage"]["prompt_tokens"]


class TestOurServer:
    pytestmark = real

    @pytest.fixture
    def case(self, tmp_path: Path) -> Case:
        return engine_folders.case("transformers", tmp_path)

    def test_what_it_cannot_do_is_refused_and_never_ignored(self, start: Start) -> None:
        process = start(options={"slots": 1, "queue": 0})
        for wrong, why in (
            ({"n": 2}, "n=2"),
            ({"logprobs": 5}, "logprobs"),
            ({"temperature": 3}, "temperature"),
            ({"top_p": 0}, "top_p"),
            ({"max_tokens": 0}, "max_tokens"),
            ({"prompt": ["a", "b"]}, "one string"),
            ({"prompt": ""}, "empty"),
            ({"prompt": "x " * 400}, "tokens; the model takes 256"),
            ({"temperature": "hot"}, "Expected"),
        ):
            status, answer = completion(process.url, **wrong)
            assert status == 400, (wrong, answer)
            assert why in answer["error"]["message"]
        assert completion(process.url, presence_penalty=0, n=1, logprobs=None)[0] == 200

    def test_the_same_seed_draws_the_same_tokens(self, start: Start) -> None:
        process = start()
        drawn = [
            completion(process.url, temperature=2, seed=seed, top_p=0.99, top_k=300)[1]["choices"][0]["text"]
            for seed in (1, 1, 2)
        ]
        assert drawn[0] == drawn[1] != drawn[2]

    def test_adapters_answer_under_their_own_name(self, start: Start, tmp_path: Path) -> None:
        program = (
            "import sys, torch\nfrom transformers import AutoModelForCausalLM\n"
            "from peft import LoraConfig, get_peft_model\n"
            "torch.manual_seed(0)\nmodel = AutoModelForCausalLM.from_pretrained(sys.argv[1])\n"
            "made = get_peft_model(model, LoraConfig(r=4, target_modules=['q_proj', 'v_proj', 'o_proj'],"
            " init_lora_weights=False, lora_alpha=64))\n"
            "made.save_pretrained(sys.argv[2])\n"
        )
        folder = tmp_path / "adapter"
        command = [sys.executable, "-c", program, str(trained.hf_folder()), str(folder)]
        subprocess.run(command, check=True, capture_output=True)
        process = start()
        before = completion(process.url)[1]["choices"][0]["text"]
        process.add_adapter("tiny@1:odd", folder)
        odd = completion(process.url, model="tiny@1:odd")[1]["choices"][0]["text"]
        assert odd != before
        assert completion(process.url)[1]["choices"][0]["text"] == before, "the model itself is as it was"
        assert completion(process.url, model="tiny@1:odd")[1]["choices"][0]["text"] == odd
        process.remove_adapter("tiny@1:odd")
        assert completion(process.url)[1]["choices"][0]["text"] == before
        with pytest.raises(ChildFailed, match="refused the adapter"):
            process.add_adapter("tiny@1:none", tmp_path / "nothing")

    def test_more_callers_than_slots_wait_their_turn(self, start: Start) -> None:
        process = start(options={"slots": 2})
        found: list[str] = []

        def call() -> None:
            found.append(completion(process.url)[1]["choices"][0]["text"])

        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        assert len(set(found)) == 1
        assert process.busy() is False
