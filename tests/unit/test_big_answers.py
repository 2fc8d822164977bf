"""Reading big answers: Python looks for cycles as before as soon as nobody reads any more."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from checker.collect.big_answers import reading_big_answers


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.enable()
    yield
    gc.unfreeze()
    (gc.enable if was_on else gc.disable)()


def test_what_was_read_is_left_out_and_cycles_are_looked_for_again() -> None:
    with reading_big_answers():
        assert not gc.isenabled()
        read = [{} for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= len(read)


def test_the_last_of_several_readers_puts_it_back() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def read() -> None:
        with reading_big_answers():
            begun.set()
            may_end.wait(10)

    other = threading.Thread(target=read)
    other.start()
    assert begun.wait(10)
    with reading_big_answers():
        pass
    assert not gc.isenabled()
    may_end.set()
    other.join(10)
    assert gc.isenabled()


def test_it_is_put_back_after_an_error() -> None:
    with pytest.raises(ValueError, match="odd"), reading_big_answers():
        raise ValueError("odd")
    assert gc.isenabled()


def test_a_process_that_looks_for_no_cycles_is_left_so() -> None:
    gc.disable()
    with reading_big_answers():
        pass
    assert not gc.isenabled()
