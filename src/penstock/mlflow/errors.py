"""Errors in MLflow's shape: `{"error_code", "message"}`, with the codes its clients decide by.

Codes: mlflow/protos/databricks.proto and mlflow/exceptions.py (ERROR_CODE_TO_HTTP_STATUS).
"""

import msgspec

from penstock.core.errors import (
    Conflict,
    Denied,
    Invalid,
    LimitExceeded,
    NotFound,
    PenstockError,
    TooLarge,
    Unauthenticated,
    Unavailable,
)


class EndpointNotFound(NotFound):
    """MLflow has the endpoint perhaps, Penstock does not; clients fall back to an older one."""


_CODES: tuple[tuple[type[PenstockError], str, int], ...] = (
    (EndpointNotFound, "ENDPOINT_NOT_FOUND", 404),
    (NotFound, "RESOURCE_DOES_NOT_EXIST", 404),
    (Conflict, "RESOURCE_ALREADY_EXISTS", 400),
    (TooLarge, "INVALID_PARAMETER_VALUE", 413),
    (Invalid, "INVALID_PARAMETER_VALUE", 400),
    (Unauthenticated, "UNAUTHENTICATED", 401),
    (Denied, "PERMISSION_DENIED", 403),
    (LimitExceeded, "REQUEST_LIMIT_EXCEEDED", 429),
    (Unavailable, "TEMPORARILY_UNAVAILABLE", 503),
)


def render(error: PenstockError) -> tuple[int, bytes]:
    """Return (status, JSON body) that tell `error` to an MLflow client."""
    code, status = "INTERNAL_ERROR", error.status if error.status >= 500 else 500
    for kind, name, answered in _CODES:
        if isinstance(error, kind):
            code, status = name, answered
            break
    if error.code == "busy":
        code, status = "TEMPORARILY_UNAVAILABLE", 503
    return status, msgspec.json.encode({"error_code": code, "message": str(error)})
