import os
from concurrent.futures import ThreadPoolExecutor

from penstock.core.ids import new_id, new_span_id, new_trace_id


def test_ids_are_unique_across_threads_and_sort_by_time() -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: [new_span_id() for _ in range(2000)], range(8)))
    assert len({each for some in found for each in some}) == 16_000
    made = [new_id("x") for _ in range(3000)]
    assert made == sorted(made) and len(set(made)) == 3000
    assert len(new_trace_id()) == 32 and len(new_span_id()) == 16


def test_a_forked_process_makes_ids_of_its_own() -> None:
    new_span_id()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, new_span_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 16).decode()
    assert len(theirs) == 16 and theirs not in {new_span_id() for _ in range(1000)}
    os.close(reader)
    os.close(writer)
