"""Cases of `kubeclass explain`: a state made on the real cluster, and the roots that must be found in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from checker import recording
from checker.diagnosis.explain import explained
from checker.model.explanation import Explanation
from checker.model.state import State
from checker.recording.normalize import normalised
from checker.recording.unread import watched
from tests.proof import digests

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One file of cases/.

    make: a shell script, run as those of the labs' cases are.
    finds: `cause@Kind/name`, the most important first, and nothing else; `a|b@Kind/name` where either is right. In a
        name, `*` stands for what is different in each run.
    remarks: the same of what is only remarked.
    meanwhile: what else may be named before that.
    in_progress: whether something stays in progress.
    undo: a shell script that undoes what the namespace's deletion does not.
    """

    name: str
    title: str
    make: str
    finds: list[str]
    meanwhile: tuple[str, ...] = ()
    in_progress: bool = False
    undo: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def made_from(self) -> str:
        return digests.of_explaining(self.make, self.undo, FOLDER / "bases")

    @property
    def recording(self) -> Path:
        return FOLDER / "recorded" / f"{self.name}.json"

    def as_wanted(self, found: list[str]) -> bool:
        """Whether exactly the roots of the case were found, in their order."""
        return len(found) == len(self.finds) and all(map(self._is, found, self.finds))

    def may_be(self, root: str) -> bool:
        """Whether a root is one of the case, or one that may be told before it has settled."""
        return any(self._is(root, one) for one in [*self.finds, *self.meanwhile])

    @staticmethod
    def _is(root: str, wanted: str) -> bool:
        causes, _, where = wanted.partition("@")
        cause, _, at = root.partition("@")
        return cause in causes.split("|") and (
            fnmatchcase(at, where) or (where == "Namespace" and at.startswith("Namespace/"))
        )


def all_cases() -> list[Case]:
    return [Case(path.stem, **yaml.safe_load(path.read_text())) for path in sorted((FOLDER / "cases").glob("*.yaml"))]


def roots(explanation: Explanation) -> list[str]:
    return [finding.root for finding in explanation.findings]


def remarks(explanation: Explanation) -> list[str]:
    return [finding.root for finding in explanation.remarks]


def save(state: State, case: Case) -> None:
    """Write a State and its explanation, normalized (checker/recording/normalize.py): the same from run to run."""
    data = normalised(state)
    explanation = json.loads(json.dumps(explained(watched(State.from_json(data))).to_json()))
    recording.write(case.recording, {"made_from": case.made_from, "state": data, "explanation": explanation})


def load(path: Path) -> tuple[State, dict[str, Any]]:
    """A recorded State, and what must be explained of it."""
    data = json.loads(path.read_text())
    return watched(State.from_json(data["state"])), data["explanation"]


def explain_anew(case: Case) -> bool:
    """Write today's words into the explanation of a recorded State.

    Returns False, and writes nothing, where it has other roots than wanted.
    """
    data = json.loads(case.recording.read_text())
    found = explained(watched(State.from_json(data["state"])))
    if not case.as_wanted(roots(found)) or remarks(found) != list(case.remarks):
        return False
    recording.write(case.recording, data | {"explanation": json.loads(json.dumps(found.to_json()))})
    return True
