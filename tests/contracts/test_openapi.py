import json

from tests.contracts.openapi import FILE, describe


def test_openapi_json_is_that_of_the_app() -> None:
    assert FILE.read_text() == describe(), (
        "the API changed: run `python -m tests.update` and look at the diff"
    )


def test_every_operation_has_an_id_a_summary_and_a_tag() -> None:
    operations = [op for methods in json.loads(FILE.read_text())["paths"].values() for op in methods.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids) > 10
    assert all(operation["summary"] for operation in operations)
