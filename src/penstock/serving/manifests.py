"""Running a deployment beyond this machine: Kubernetes objects and Ray Serve configuration from its record.

Both start `python -m penstock.serving.standalone` (or the same engine inside Ray), which fetches the model from the
registry: the cluster needs Penstock's PostgreSQL and its blob store, whose settings come as environment variables.
Formats: kubernetes.io apps/v1, v1, autoscaling/v2; docs.ray.io, Serve config file, and RayService of KubeRay.
"""

import json
import math
from typing import Any

import yaml

from penstock.core.errors import Invalid
from penstock.core.scope import Scope
from penstock.core.suggest import did_you_mean
from penstock.serving.model import Deployment, DeploymentVersion
from penstock.version import __version__

KINDS = ("kubernetes", "ray")
PORT = 8000
SECRET = "penstock"
"""Name of the Secret with PENSTOCK_CORE__DATABASE_URL and the like."""


def render(
    scope: Scope, deployment: Deployment, version: DeploymentVersion, *, kind: str, image: str = ""
) -> str:
    """Return the YAML. `image` is a container with Penstock and the engine. Raises Invalid for another kind."""
    if kind == "kubernetes":
        found = kubernetes(scope, deployment, version, image or f"penstock:{__version__}")
        return "---\n".join(yaml.safe_dump(each, sort_keys=False) for each in found)
    if kind == "ray":
        return yaml.safe_dump(ray(scope, deployment, version), sort_keys=False)
    raise Invalid(f"There is no manifest format {kind!r}.", hint=did_you_mean(kind, KINDS))


def arguments(scope: Scope, deployment: Deployment, version: DeploymentVersion) -> dict[str, Any]:
    """Return what `penstock.serving.standalone` is told, as its options by name."""
    return {
        "project": scope.project,
        "tenant": scope.tenant,
        "model": version.model,
        "engine": version.engine,
        "name": deployment.endpoint(version.number),
        "options": version.options,
    }


def kubernetes(
    scope: Scope, deployment: Deployment, version: DeploymentVersion, image: str
) -> list[dict[str, Any]]:
    """Return a Deployment, a Service and, with a rule for scaling, a HorizontalPodAutoscaler."""
    name = _dns(deployment.name)
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "penstock"}
    meta = {"name": name, "labels": labels}
    annotations = {"penstock/version": deployment.endpoint(version.number), "penstock/model": version.model}
    spec: dict[str, Any] = {
        "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {
            "metadata": {"labels": labels, "annotations": annotations},
            "spec": _pod(scope, deployment, version, image),
        },
    }
    rule = deployment.policy.autoscale
    if rule is None:
        spec = {"replicas": version.replicas, **spec}
    service = {"selector": {"app.kubernetes.io/name": name}, "ports": [{"port": PORT, "targetPort": "http"}]}
    found = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service},
    ]
    if rule is not None:
        target = {"type": "Utilization", "averageUtilization": 70}
        scaler = {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            # Without an add-on, Kubernetes cannot scale to none.
            "minReplicas": max(1, rule.min),
            "maxReplicas": rule.max,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        }
        found.append(
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": meta,
                "spec": scaler,
            }
        )
    return found


def _pod(scope: Scope, deployment: Deployment, version: DeploymentVersion, image: str) -> dict[str, Any]:
    command = ["python", "-m", "penstock.serving.standalone", "--host", "0.0.0.0", "--port", str(PORT)]
    for key, value in arguments(scope, deployment, version).items():
        command += [f"--{key}", json.dumps(value) if key == "options" else str(value)]
    requests: dict[str, Any] = {"cpu": str(_threads(version))}
    limits: dict[str, Any] = {}
    if version.memory_bytes is not None:
        requests["memory"] = limits["memory"] = f"{math.ceil(version.memory_bytes / 1024**2)}Mi"
    if version.gpus:
        limits["nvidia.com/gpu"] = str(version.gpus)
    probe = {"httpGet": {"path": "/v1/models", "port": "http"}}
    container = {
        "name": "engine",
        "image": image,
        "command": command,
        "envFrom": [{"secretRef": {"name": SECRET}}],
        "env": [{"name": "PENSTOCK_HOME", "value": "/var/lib/penstock"}],
        "ports": [{"name": "http", "containerPort": PORT}],
        "startupProbe": {**probe, "periodSeconds": 2, "failureThreshold": 300},
        "readinessProbe": {**probe, "periodSeconds": 5},
        "livenessProbe": {**probe, "periodSeconds": 20, "failureThreshold": 3},
        "resources": {"requests": requests, "limits": limits},
        "volumeMounts": [{"name": "cache", "mountPath": "/var/lib/penstock"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "terminationGracePeriodSeconds": 60,
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "cache", "emptyDir": {}}],
    }


def ray(scope: Scope, deployment: Deployment, version: DeploymentVersion) -> dict[str, Any]:
    """Return a Serve config file for `serve deploy`."""
    actor: dict[str, Any] = {"num_cpus": _threads(version)}
    if version.gpus:
        actor["num_gpus"] = version.gpus
    if version.memory_bytes is not None:
        actor["memory"] = version.memory_bytes
    served: dict[str, Any] = {"name": "Engine", "ray_actor_options": actor, "max_ongoing_requests": 1000}
    rule = deployment.policy.autoscale
    if rule is None:
        served["num_replicas"] = version.replicas
    else:
        served["autoscaling_config"] = {
            "min_replicas": rule.min,
            "max_replicas": rule.max,
            "target_ongoing_requests": rule.requests,
            "downscale_delay_s": rule.idle,
        }
    application = {
        "name": _dns(deployment.name),
        "route_prefix": f"/{deployment.name}",
        "import_path": "penstock.serving.engines.ray_app:build",
        "args": arguments(scope, deployment, version),
        "deployments": [served],
    }
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "127.0.0.1", "port": PORT},
        "applications": [application],
    }


def _threads(version: DeploymentVersion) -> int:
    return int(version.options.get("threads", 1))


def _dns(name: str) -> str:
    """Return the name as a DNS label (RFC 1123), which Kubernetes wants."""
    return name.replace("_", "-").replace(".", "-").strip("-")[:63].strip("-")
