"""Judging: everything that thinks: State, labs, chains, causes, verdicts. Nothing here asks anybody anything (tests/unit/test_rooms.py)."""
