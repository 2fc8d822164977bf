"""A class on an API server that is none: it answers from recorded States, one for each learner."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from checker.classroom.names import LEARNER, POLICIES, ROLE
from checker.classroom.plan import HOME
from checker.classroom.record import Record
from checker.collect.api import Api, ApiError
from checker.grading.labs import load_lab
from checker.model.kinds import KINDS
from checker.model.state import CLASS
from cluster import Cluster

NAME = "t"
RECORD = Record(NAME, datetime(2100, 1, 1, tzinfo=UTC), ("policies", "metrics", "storage", "workers=2"))
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)  # when recorded States were looked at


def recorded(lab: str, case: str, namespace: str) -> dict[str, Any]:
    """A recorded State's JSON, as if it were in this namespace."""
    text = (load_lab(lab).folder / "recorded" / f"{case}.json").read_text()
    moved: dict[str, Any] = json.loads(re.sub(r"(?<![\w])learn(?![\w])", namespace, text))["state"]
    return moved


class FakeClass(Api):
    """learners: by id, the lab and the case of its recording; None for a learner who has begun no lab.

    gone: learners whose namespace is away at the second look. broken: kinds that the API server refuses to list.
    before: called before each answer.
    """

    def __init__(self, learners: dict[str, tuple[str, str] | None]) -> None:
        self.cluster = Cluster(NAME, Path("none"), NAME, kind="named")
        self.now = NOW
        self.homes = [f"{NAME}-{id}" for id in learners]
        self.states: dict[str, dict[str, Any] | None] = {}  # by the namespace of the lab
        for home, case in zip(self.homes, learners.values(), strict=True):
            place = f"{home}-{POLICIES}" if case and load_lab(case[0]).spec.needs.policies else home
            self.states[place] = recorded(*case, place) if case else None
        self.gone: set[str] = set()
        self.refused: dict[str, ApiError] = {}
        self.before: Callable[[str, str], None] = lambda method, path: None
        self.asked: list[str] = []
        self._looks = 0

    def edition(self) -> tuple[int, int]:
        return 1, 1

    def request(
        self, method: str, path: str, body: Any = None, read_timeout: float = 5, content: str = "application/json"
    ) -> bytes:
        self.before(method, path)
        self.asked.append(path)
        return json.dumps(self._answer(path, body)).encode() if not self._is_log(path) else self._log(path)

    def _answer(self, path: str, body: Any) -> Any:
        parts = urlsplit(path)
        if parts.path == "/version":
            return {"gitVersion": "v1.37.2"}
        if parts.path.endswith("/token"):
            return {"status": {"token": "x"}}
        if parts.path.endswith("/proxy/ask"):
            seen = (self.states[body["namespaces"][0]] or {})["observations"]
            return {key: seen[key] for key in body["questions"] if key in seen}
        if parts.path == "/api/v1/namespaces":
            return {"items": self._namespaces()}
        for kind in KINDS.values():
            if kind.path() == parts.path:
                return self._listed(kind.name, parse_qs(parts.query))
        raise AssertionError(path)

    def _namespaces(self) -> list[dict[str, Any]]:
        self._looks += 1
        here = [home for home in self.homes if self._looks == 1 or home not in self.gone]
        return [one for home in here for one in self._namespaces_of(home)]

    def _namespaces_of(self, home: str) -> list[dict[str, Any]]:
        """The learner's first namespace, and those of the recording that are named after it."""
        found = {home: {"metadata": {"name": home, "uid": f"uid-{home}"}}}
        for state in self.states.values():
            for one in (state or {"objects": {}})["objects"].get("Namespace", []):
                if f"{one['metadata']['name']}-".startswith(f"{home}-"):
                    found[one["metadata"]["name"]] = deepcopy(one)
        for name, one in found.items():
            role = HOME if name == home else name.removeprefix(f"{home}-")
            metadata: dict[str, Any] = one["metadata"]
            metadata["labels"] = {**(metadata.get("labels") or {}), CLASS: NAME, LEARNER: home, ROLE: role}
        return list(found.values())

    def _listed(self, kind: str, query: dict[str, list[str]]) -> Any:
        """In pages of two objects, so that a reader who forgets the rest is found out."""
        if kind in self.refused:
            raise self.refused[kind]
        states = [state for state in self.states.values() if state]
        if KINDS[kind].namespaced:
            items = [raw for state in states for raw in state["objects"].get(kind, [])]
        else:
            items = states[0]["objects"].get(kind, []) if states else []
        begin = int(query.get("continue", ["0"])[0])
        more = {"continue": str(begin + 2)} if begin + 2 < len(items) else {}
        return {"items": deepcopy(items[begin : begin + 2]), "metadata": more}

    @staticmethod
    def _is_log(path: str) -> bool:
        return "/log?" in path

    def _log(self, path: str) -> bytes:
        parts = urlsplit(path)
        _, namespace, _, pod, _ = parts.path.removeprefix("/api/v1/").split("/")
        container = parse_qs(parts.query)["container"][0]
        return str((self.states[namespace] or {})["logs"].get(f"{pod}/{container}", "")).encode()
