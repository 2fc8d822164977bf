"""Findings: what `kubeclass explain` says of a namespace, as plain data. checker/ui/explanation.py renders it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from checker.model.catalogue import catalogue, say
from cluster.context import DEFAULT_NAMESPACE


@dataclass(frozen=True)
class Consequence:
    """An object that does not work because of a root somewhere else, and how that shows in the object itself."""

    object: str
    observed: str = ""
    namespace: str = ""


@dataclass(frozen=True)
class Finding:
    """One root: what is broken, how that was seen, and what follows from it.

    object: `Kind/name` of the object that a person would change; for a Pod, the object that it was made from.
    seen_at: the object where the fault was seen.
    """

    cause: str
    message: str
    object: str
    namespace: str
    expected: str = ""
    observed: str = ""
    look: str = ""
    seen_at: str = ""
    consequences: tuple[Consequence, ...] = ()

    @property
    def root(self) -> str:
        """`cause@Kind/name`, as the tests' cases write it."""
        return f"{self.cause}@{self.object}"

    @property
    def title(self) -> str:
        return catalogue()[self.cause].title if self.cause in catalogue() else self.cause

    @property
    def meaning(self) -> str:
        return catalogue()[self.cause].meaning if self.cause in catalogue() else ""

    @property
    def lesson(self) -> str:
        return catalogue()[self.cause].lesson if self.cause in catalogue() else ""

    @property
    def command(self) -> str:
        """Where to look: a command that shows the same evidence, from wherever it is typed."""
        look = self.look
        elsewhere = self.namespace not in ("", DEFAULT_NAMESPACE)
        if elsewhere and look.startswith("kubectl ") and lacks_namespace(look):
            return look.replace("kubectl ", f"kubectl -n {self.namespace} ", 1)
        return look

    def to_json(self) -> dict[str, Any]:
        return {
            "cause": self.cause,
            "title": self.title,
            "message": self.message,
            "expected": self.expected,
            "observed": self.observed,
            "object": self.object,
            "namespace": self.namespace,
            "seen_at": self.seen_at,
            "look": self.command,
            "meaning": self.meaning,
            "lesson": self.lesson,
            "consequences": [
                {"object": c.object, "namespace": c.namespace, "observed": c.observed} for c in self.consequences
            ],
        }


# Options of a command that name the namespaces, and resources of the whole cluster.
_NAMESPACE_OPTIONS = {"-n", "--namespace", "-A", "--all-namespaces"}
_CLUSTER_RESOURCES = {
    "node",
    "nodes",
    "namespace",
    "namespaces",
    "persistentvolumes",
    "storageclasses",
    "ingressclasses",
    "priorityclasses",
    "runtimeclasses",
}
_PLACE_OPTIONS = _NAMESPACE_OPTIONS | _CLUSTER_RESOURCES


def lacks_namespace(command: str) -> bool:
    """Whether a kubectl command is about objects of a namespace, and does not name it."""
    return not _PLACE_OPTIONS & set(command.split())


@dataclass(frozen=True)
class Explanation:
    """What is wrong in a namespace, or with one object of it; what could not be seen; what is still in progress.

    lab: the number of the lab that was started in the namespace; empty where none was.
    kept_back: how many findings are not told, as this lab asks the learner to find them out.
    """

    namespace: str
    object: str = ""  # the one object that was asked about
    findings: tuple[Finding, ...] = ()
    unseen: tuple[Finding, ...] = ()
    in_progress: tuple[Finding, ...] = field(default=(), compare=False)
    remarks: tuple[Finding, ...] = ()  # no faults: they do not change the exit status
    lab: str = field(default="", compare=False)
    kept_back: int = 0

    @property
    def exit_code(self) -> int:
        """0 nothing is wrong; 1 something is; 2 nothing was found, but something could not be seen."""
        return 1 if self.findings or self.kept_back else 2 if self.unseen else 0

    @property
    def summary(self) -> str:
        """The answer in one sentence."""
        about = "explain-object" if self.object else "explain-namespace"
        where = say(about, object=self.object, namespace=self.namespace)
        if self.findings or self.kept_back:
            return say("explain-wrong", where=where, number=len(self.findings) + self.kept_back)
        return say("explain-not-all-seen" if self.unseen else "explain-well", where=where)

    def to_json(self) -> dict[str, Any]:
        """The contract of `explain --json`."""
        return {
            "namespace": self.namespace,
            "object": self.object,
            "healthy": self.exit_code == 0,
            "summary": self.summary,
            "findings": [finding.to_json() for finding in self.findings],
            "unseen": [finding.to_json() for finding in self.unseen],
            "in_progress": [finding.to_json() for finding in self.in_progress],
            "kept_back": self.kept_back,
            "remarks": [finding.to_json() for finding in self.remarks],
        }
