from tests.contracts.public_api import FILE, describe


def test_the_public_api_is_the_committed_one() -> None:
    assert FILE.read_text() == describe(), (
        "the SDK changed: run `python -m tests.update` and look at the diff"
    )
