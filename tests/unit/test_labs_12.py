"""Lab 12 on recordings that were altered: entries that were pushed at once, and volumes that are mounted twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from checker import recording
from checker.grading.grade import judge
from checker.grading.labs import load_lab
from checker.sdk import State

LAB = load_lab("12")
EMPTY = "No entries yet."


def causes(change: Callable[[State], Any], case: str = "solution") -> dict[str, str]:
    """The causes of the tasks that do not pass, after a change to a recorded State."""
    state, _ = recording.load(LAB.folder / "recorded" / f"{case}.json")
    change(state)
    return {task.id: task.cause for task in judge(LAB, State.from_json(state.to_json())).tasks if task.cause}


def seen(state: State, name: str) -> Any:
    return next(value for key, value in state.observations.items() if key.startswith(name))


def pushed(seen_before: bool = False, timeline: bool = True) -> Callable[[State], None]:
    """Two entries came by one command, after the guestbook had told for two seconds that the newest Pod has none."""

    def change(state: State) -> None:
        redis, times = seen(state, "RedisData")[""], seen(state, "Traffic")
        redis["redis"] |= {"items": ["a", "b"], "length": 2, "written": 1}
        redis["app"]["text"] = "a\nb"
        ready = max(pod["ready"] for pod in times["pods"].values() if pod["name"].startswith("redis"))
        times["said"] = {"guestbook-1": [[times["since"], ready + 2, EMPTY], [ready + 2, ready + 3, "a"]]}
        times["texts"] = [[times["since"], "a" if seen_before else EMPTY], [ready + 2, "a"]]
        if not timeline:
            state.observations = {key: value for key, value in state.observations.items() if "Traffic" not in key}

    return change


def at_once(state: State) -> None:
    """The newest Pod was the first to show the entry, and the guestbook had none just before: no write was seen."""
    times = seen(state, "Traffic")
    ready = max(pod["ready"] for pod in times["pods"].values() if pod["name"].startswith("redis"))
    times["said"] = {"guestbook-1": [[times["since"], ready - 5, EMPTY], [ready + 0.1, ready + 3, "I was here"]]}
    times["texts"] = [[times["since"], EMPTY], [ready + 0.1, "I was here"]]


def by_hand(loaded: int = 0, appendonly: str = "no") -> Callable[[State], None]:
    """Redis has more entries than commands that wrote some, and has found so many keys when it began."""

    def change(state: State) -> None:
        redis = seen(state, "RedisData")[""]["redis"]
        redis |= {"loaded": loaded, "appendonly": appendonly}

    return change


def restarted(state: State) -> None:
    """Redis was restarted in its Pod, which only the observer saw; times of the guestbook's answers, to the tenth."""
    pod = state.find("Pod", "store-0")
    assert pod
    pod.status["containerStatuses"][0]["restartCount"] = 1


def helper_first(state: State) -> None:
    backup = state.find("Pod", "backup")
    assert backup
    backup.containers.insert(0, {"name": "helper", "image": "redis:8"})


def mounted(
    *mounts: dict[str, Any], container: str = "", kind: str = "containers", **claim: Any
) -> Callable[[State], None]:
    """The backup has its volume mounted again: in its container, or in a further one."""

    def change(state: State) -> None:
        backup = state.find("Pod", "backup")
        assert backup
        backup.spec["volumes"][0]["persistentVolumeClaim"].update(claim)
        if container:
            further = {"name": container, "image": "guestbook:v1", "volumeMounts": list(mounts)}
            backup.spec.setdefault(kind, []).append(further)
        else:
            backup.containers[0]["volumeMounts"] += mounts

    return change


WRITE, READ = {"name": "data", "mountPath": "/backup"}, {"name": "data", "mountPath": "/again", "readOnly": True}
NOT_SHOWN, WRITABLE = {"survives": "survival-not-shown"}, {"second-look": "volume-writable"}
ALTERED: dict[str, tuple[dict[str, str], Callable[[State], Any]]] = {
    "two entries by one command": (NOT_SHOWN, pushed()),
    "the same, and they had been there before": ({}, pushed(seen_before=True)),
    "the same, and nobody looked": ({}, pushed(timeline=False)),
    "written and replaced between two looks": ({}, at_once),
    "Redis began with nothing": (NOT_SHOWN, by_hand()),
    "Redis began with what it had saved": ({}, by_hand(loaded=1)),
    "a Redis that does not say": ({}, by_hand(loaded=-1)),
    "Redis began with what it had appended": ({}, by_hand(appendonly="yes")),
    "a container in front of it": ({}, helper_first),
    "once more to read": ({}, mounted(READ)),
    "once more to write": (WRITABLE, mounted({**WRITE, "mountPath": "/again"})),
    "in a further container": (WRITABLE, mounted(WRITE, container="helper")),
    "in an init container": (WRITABLE, mounted(WRITE, container="helper", kind="initContainers")),
    "in a further container, to read": ({}, mounted(READ, container="helper")),
    "in a further container, of a volume that is read only": ({}, mounted(WRITE, container="helper", readOnly=True)),
}


@pytest.mark.parametrize("expected, change", ALTERED.values(), ids=list(ALTERED))
def test_an_altered_recording(expected: dict[str, str], change: Callable[[State], Any]) -> None:
    assert causes(change) == expected


def test_a_stateful_sets_pod_is_not_taken_for_the_one_before_it() -> None:
    assert causes(restarted, "stateful-set") == {}


@pytest.mark.parametrize(
    "before, after, survived",
    [
        (["I was here"], [], True),
        (["I was here", EMPTY], ["I was here"], True),  # an earlier Redis that ends slowly answered for a moment
        (["I was here"], [EMPTY, "I was here"], False),
        (["another", EMPTY], ["I was here"], False),
        ([EMPTY], ["I was here"], False),
    ],
)
def test_what_was_told_of_before_the_pod_was_made_and_since_then(
    before: list[str], after: list[str], survived: bool
) -> None:
    def report(state: State) -> None:
        times = seen(state, "Traffic")
        made = max(pod["added"] for pod in times["pods"].values() if pod["name"] == "store-0")
        times["texts"] = [[made - 5 + n, text] for n, text in enumerate(before)]
        times["texts"] += [[made + 5 + n, text] for n, text in enumerate(after)]

    assert causes(report, "restarted-stateful-set") == ({} if survived else {"survives": "survival-not-shown"})
