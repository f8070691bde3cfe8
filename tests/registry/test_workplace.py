"""Work folders that many make at the same time."""

from concurrent.futures import ThreadPoolExecutor

from penstock.core.home import Home
from penstock.registry.workplace import work_folder


def test_nobody_clears_away_what_another_has_only_just_made(sqlite_home: Home) -> None:
    def work(number: int) -> bool:
        for turn in range(60):
            with work_folder(sqlite_home, "tries") as folder:
                mine = folder / "mine"
                mine.write_text(f"{number} {turn}")
                assert mine.read_text() == f"{number} {turn}"
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    assert list(sqlite_home.folder("work", "tries").iterdir()) == []
