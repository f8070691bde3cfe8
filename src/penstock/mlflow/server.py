"""What clients ask about the server itself."""

from penstock.mlflow.call import Answer, Call
from penstock.mlflow.routing import Routes

routes = Routes()
SPEAKS = "3.17.0"
"""The version of MLflow whose API this is; clients send spans only to servers of 3.4 or later."""


@routes.on("GET !/version")
def version(_call: Call) -> str:
    """Return the version of MLflow's API."""
    return SPEAKS


@routes.on("GET !/health")
def health(_call: Call) -> str:
    """Say that the server answers."""
    return "OK"


@routes.on("GET 3 /server-info")
def info(_call: Call) -> Answer:
    """Return which optional parts of MLflow there are."""
    return {
        "store_type": "SqlStore",
        "workspaces_enabled": True,
        "trace_archival_enabled": False,
        "multipart_uploads_enabled": False,
        "multipart_downloads_enabled": False,
    }
