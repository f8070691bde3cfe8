"""Manifests from a deployment's record, and what they start."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.registry import service as registry
from penstock.serving import manifests, operating, service, standalone
from penstock.serving.engines.child import ask
from penstock.serving.model import Autoscale, Policy
from tests.conftest import owner_of
from tests.fakes import trained
from tests.fakes.engine import FakeEngine
from tests.serving.test_planning import deployment, version

TEAM = Scope("default", "team")
RULE = Policy(autoscale=Autoscale(min=0, max=5, requests=3, idle=60))


def has_ray_serve() -> bool:
    """Whether Ray is there with what its Serve needs."""
    return all(importlib.util.find_spec(name) is not None for name in ("ray", "grpc_reflection"))


def kubernetes(**more: Any) -> dict[str, dict[str, Any]]:
    made = replace(version(1, replicas=3, memory=3 * 1024**3, gpus=2), options={"threads": 4})
    wanted = deployment("ticket.triage", **more)
    text = manifests.render(TEAM, wanted, made, kind="kubernetes", image="registry.example/penstock:9")
    return {found["kind"]: found for found in yaml.safe_load_all(text)}


def test_kubernetes_gets_a_deployment_and_a_service() -> None:
    found = kubernetes()
    assert set(found) == {"Deployment", "Service"}
    spec = found["Deployment"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert (spec["replicas"], container["image"]) == (3, "registry.example/penstock:9")
    assert container["resources"] == {
        "requests": {"cpu": "4", "memory": "3072Mi"},
        "limits": {"memory": "3072Mi", "nvidia.com/gpu": "2"},
    }
    assert found["Service"]["metadata"]["name"] == "ticket-triage"
    selector = spec["selector"]["matchLabels"]
    assert selector == found["Service"]["spec"]["selector"]
    assert selector.items() <= spec["template"]["metadata"]["labels"].items()
    given = standalone.parser().parse_args(container["command"][3:])
    assert (given.model, given.engine, given.name) == ("m@1", "fake", "ticket.triage@1")
    assert (given.project, given.options, given.port) == ("team", {"threads": 4}, 8000)


def test_a_rule_for_scaling_becomes_an_autoscaler() -> None:
    found = kubernetes(policy=RULE)
    assert "replicas" not in found["Deployment"]["spec"], "the autoscaler's figure would be overwritten"
    scaler = found["HorizontalPodAutoscaler"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (1, 5)
    assert scaler["scaleTargetRef"]["name"] == found["Deployment"]["metadata"]["name"]


def test_ray_gets_a_config_that_its_own_schema_takes() -> None:
    made = yaml.safe_load(manifests.render(TEAM, deployment(policy=RULE), version(1, gpus=1), kind="ray"))
    (application,) = made["applications"]
    (served,) = application["deployments"]
    assert served["autoscaling_config"] == {
        "min_replicas": 0,
        "max_replicas": 5,
        "target_ongoing_requests": 3,
        "downscale_delay_s": 60,
    }
    assert application["args"]["name"] == "a@1"
    fixed = yaml.safe_load(manifests.render(TEAM, deployment(), version(1, replicas=2), kind="ray"))
    assert fixed["applications"][0]["deployments"][0]["num_replicas"] == 2
    if not has_ray_serve():
        pytest.skip("ray[serve] is not installed: its schema was not asked")
    program = (
        "import sys, json\nfrom ray.serve.schema import ServeDeploySchema\n"
        "for each in json.load(sys.stdin):\n    ServeDeploySchema.model_validate(each)\n"
    )
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        input=json.dumps([made, fixed]),
        text=True,
        check=True,
    )


def test_an_unknown_format_gets_a_suggestion() -> None:
    with pytest.raises(Invalid, match="no manifest format 'kubernets'") as refused:
        manifests.render(TEAM, deployment(), version(1), kind="kubernets")
    assert "kubernetes" in refused.value.hint


def test_the_manifest_is_that_of_the_production_version(
    home: Home, actor: Actor, engine: FakeEngine, model: Callable[[int], str]
) -> None:
    ref = model(1)
    with home.begin() as uow:
        service.deploy(uow, actor, name="triage", model=ref)
        found = operating.manifest(uow, actor, name="triage", kind="kubernetes")
    assert "penstock/model: triage@1" in found


@pytest.mark.heavy
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_standalone_serves_until_it_is_told_to_end(sqlite_home: Home, free_port: int, tmp_path: Path) -> None:
    home = sqlite_home
    registry.register(home, owner_of(home), name="triage", folder=trained.gguf_folder(), kind="gguf")
    command = [sys.executable, "-m", "penstock.serving.standalone", "--model", "triage@1"]
    command += [
        "--engine",
        "llamacpp",
        "--name",
        "t@1",
        "--options",
        '{"context": 64}',
        "--port",
        str(free_port),
    ]
    environment = {**os.environ, "PENSTOCK_HOME": str(home.path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "ready" in process.stderr.readline()
        body = {"model": "t@1", "prompt": "My invoice", "max_tokens": 2, "temperature": 0}
        status, text = ask(f"http://127.0.0.1:{free_port}", "POST", "/v1/completions", body)
        assert (status, json.loads(text)["choices"][0]["text"]) == (200, " 4")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    deadline = time.monotonic() + 60
    while True:
        try:
            ask(f"http://127.0.0.1:{free_port}", "GET", "/health")
        except OSError:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)


RAY = """
import asyncio, json, sys
from starlette.requests import Request
from ray import serve
from penstock.serving.engines.ray_app import build

async def receive():
    body = {"model": "t@1", "prompt": "My invoice", "max_tokens": 2, "temperature": 0}
    return {"type": "http.request", "body": json.dumps(body).encode()}

async def whole(response):
    return b"".join([piece async for piece in response.body_iterator])

handle = serve.run(build(json.loads(sys.argv[1])), _local_testing_mode=True)
scope = {"type": "http", "method": "POST", "path": "/triage/v1/completions", "root_path": "/triage",
         "query_string": b"", "headers": [(b"content-type", b"application/json")], "scheme": "http"}
response = handle.remote(Request(scope, receive)).result()
print(response.status_code, json.loads(asyncio.run(whole(response)))["choices"][0]["text"])
"""


@pytest.mark.heavy
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_ray_application_answers_as_the_engine_does(sqlite_home: Home) -> None:
    if not has_ray_serve():
        pytest.skip("ray[serve] is not installed")
    home = sqlite_home
    registry.register(home, owner_of(home), name="triage", folder=trained.gguf_folder(), kind="gguf")
    given = manifests.arguments(
        Scope(), deployment("t"), replace(version(1), model="triage@1", engine="llamacpp")
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RAY, json.dumps(given)],
        env={**os.environ, "PENSTOCK_HOME": str(home.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip().splitlines()[-1] == "200  4"
