"""Files that are put in place in one step."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from cluster.files import in_one_step


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "kubectl"
    target.write_text("old")
    with in_one_step(target, 0o755) as new:
        new.write_text("new")
        assert target.read_text() == "old" and new.parent == tmp_path
        assert stat.S_IMODE(new.stat().st_mode) == 0o600
    assert target.read_text() == "new" and stat.S_IMODE(target.stat().st_mode) == 0o755
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "kubectl"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), in_one_step(target, 0o644) as new:
        new.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_two_at_once_both_end_well(tmp_path: Path) -> None:
    target, both_have_written = tmp_path / "kubectl", Barrier(2, timeout=10)

    def put(text: str) -> None:
        with in_one_step(target, 0o755) as new:
            new.write_text(text)
            both_have_written.wait()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(put, ["one" * 1000, "two" * 1000]))
    assert target.read_text() in ("one" * 1000, "two" * 1000) and list(tmp_path.iterdir()) == [target]
