"""A lab in a place: start it, check it, reset it, solve it.

A place is where a lab's objects live and what can be asked there: a namespace of the cluster (NamespacePlace), or, for
the Docker lab, the container engine (checker/docker.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from checker.api import Api, ApiError
from checker.judge import judge
from checker.kubectl import kubectl
from checker.labs import Case, Lab, load_lab
from checker.state import LAB, STARTED, State
from checker.verdict import Result
from cluster import Cluster, Problem, current, paths
from cluster.context import DEFAULT_NAMESPACE

WAIT = 10.0  # seconds that a check gives a change in progress
PAUSE = 0.5  # seconds between two looks while it waits
# What a learner may have made in a namespace. Pods come first, so that those without an owner go at once.
CLEARED = (
    "cronjobs,jobs,deployments,statefulsets,daemonsets,replicasets,pods,services,ingresses,networkpolicies,"
    "persistentvolumeclaims,resourcequotas,limitranges,poddisruptionbudgets,horizontalpodautoscalers,configmaps,secrets"
)


class Place(Protocol):
    """Where a lab happens."""

    namespace: str

    def look(self, lab: Lab) -> State: ...
    def prepare(self, lab: Lab) -> None: ...
    def clear(self, lab: Lab) -> None: ...
    def leftovers(self, lab: Lab) -> str: ...
    def run(self, lab: Lab, script: str, folder: Path, timeout: float = 120) -> str: ...
    def apply(self, folder: Path) -> None: ...


class NamespacePlace:
    """A namespace of the course's cluster."""

    def __init__(
        self, namespace: str = DEFAULT_NAMESPACE, cluster: Cluster | None = None, work: Path | None = None
    ) -> None:
        """work: where the learner's files for the labs are, a folder per lab; lessons/work/ by default.

        Raises Problem where the cluster has no usable kubeconfig.
        """
        self.namespace = namespace
        self.cluster = cluster or current()
        self.api = Api(self.cluster)
        self.work = work or paths.COURSE / "lessons" / "work"

    def folder(self, lab: Lab) -> Path:
        """Where the learner keeps the files for a lab."""
        return self.work / (lab.number if self.namespace == DEFAULT_NAMESPACE else f"{lab.number}-{self.namespace}")

    def look(self, lab: Lab) -> State:
        from checker.collect import collect

        folder = self.folder(lab)
        manifests = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
        return collect(self.api, self.namespace, lab.observations, manifests)

    def _namespace(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.api.get(f"/api/v1/namespaces/{self.namespace}")
        except ApiError as error:
            if error.status == 404:
                return None
            raise unreachable(error) from None
        return found

    def leftovers(self, lab: Lab) -> str:
        """The number of the other lab that was started in this namespace before; empty where there was none."""
        labels = ((self._namespace() or {}).get("metadata") or {}).get("labels") or {}
        return labels[LAB] if labels.get(LAB, lab.number) != lab.number else ""

    def prepare(self, lab: Lab) -> None:
        """Make the namespace the lab's, and put there what the lab begins with. Doing it twice changes nothing."""
        metadata = (self._namespace() or {}).get("metadata") or {}
        begun = (metadata.get("annotations") or {}).get(STARTED)
        same = (metadata.get("labels") or {}).get(LAB) == lab.number
        started = begun if begun and same else datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        mark = {"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": self.namespace, "labels": {LAB: lab.number}, "annotations": {STARTED: started}}}  # fmt: skip
        kubectl(
            self.cluster,
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager=kubeclass",
            "-f",
            "-",
            input=json.dumps(mark),
        )
        setup = lab.folder / "setup"
        if any(setup.glob("*.yaml")):
            self.apply(setup)
        self.look(lab)  # begins the observer's streams

    def clear(self, lab: Lab) -> None:
        """Delete what is in the namespace and what carries the lab's mark. Raises Problem for a namespace that is not a lab's."""
        from checker import observer

        found = self._namespace()
        if found and self.namespace != DEFAULT_NAMESPACE and LAB not in (found["metadata"].get("labels") or {}):
            raise Problem(
                f"Namespace {self.namespace} was not started by the course.",
                f"Begin the lab there first: kubeclass start {lab.number} --namespace {self.namespace}",
                kept="everything in that namespace",
            )
        observer.ask(self.api, {"forget": {"do": "forget", "namespace": self.namespace}})
        if found:
            kubectl(
                self.cluster,
                "delete",
                CLEARED,
                "--all",
                "-n",
                self.namespace,
                "--timeout=90s",
                "--ignore-not-found",
                timeout=100,
            )
            kubectl(self.cluster, "annotate", "namespace", self.namespace, f"{STARTED}-", "--overwrite")

    def apply(self, folder: Path) -> None:
        kubectl(self.cluster, "apply", "-n", self.namespace, "-f", str(folder))

    def run(self, lab: Lab, script: str, folder: Path, timeout: float = 120) -> str:
        """Run a shell script as a learner would type it: kubectl goes to this cluster and this namespace.

        WORK is the folder of the learner's files. Returns what the script printed.
        Raises Problem with the script's output where it fails.
        """
        from cluster.tools import kubectl_path

        work = self.folder(lab)
        work.mkdir(parents=True, exist_ok=True)
        with self._own_kubeconfig() as kubeconfig:
            env = {
                "KUBECONFIG": kubeconfig,
                "WORK": str(work),
                "PATH": f"{kubectl_path().parent}{os.pathsep}{os.environ['PATH']}",
            }
            return run_script(script, folder, self.namespace, env, timeout)

    @contextmanager
    def _own_kubeconfig(self) -> Iterator[str]:
        """A kubeconfig whose context's namespace is this one: the course's own file is shared and stays as it is."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "kubeconfig"
            copy.touch(mode=0o600)
            copy.write_text(self.cluster.kubeconfig.read_text())
            own = Cluster(self.cluster.name, copy)
            kubectl(own, "config", "set-context", own.context, f"--namespace={self.namespace}")
            yield str(copy)


def run_script(script: str, folder: Path, namespace: str, env: dict[str, str], timeout: float) -> str:
    """Run a script of a lab with bash, stopping at its first error. NAMESPACE is set in it. Raises Problem where it fails."""
    try:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=folder, capture_output=True, text=True, timeout=timeout, check=False,
            env={**os.environ, "NAMESPACE": namespace, **env},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Problem(
            f"A script of {folder} did not end within {timeout:.0f} s.", "Try again: kubeclass status"
        ) from None
    if done.returncode != 0:
        raise Problem(
            f"A script of {folder} failed: {done.stderr.strip() or done.stdout.strip()}", "Try again: kubeclass status"
        )
    return done.stdout


def unreachable(error: ApiError) -> Problem:
    """The Problem that stands for an API server that does not answer, or refuses."""
    if error.status == 403:
        return Problem(
            f"Your rights do not reach: {error.message}",
            "Ask whoever gave you this cluster for access to the namespace",
        )
    return Problem(
        f"The cluster does not answer: {error.message}.", "See how it is: kubeclass status; start it: kubeclass up"
    )


class Session:
    """One lab in one place."""

    def __init__(self, lab: Lab | str, namespace: str = DEFAULT_NAMESPACE, place: Place | None = None) -> None:
        """Raises Problem for an unknown lab, and where there is no cluster (or, for the Docker lab, no engine)."""
        self.lab = load_lab(lab) if isinstance(lab, str) else lab
        self.place = place or place_of(self.lab, namespace)

    def start(self, clear_other: Callable[[str], bool] = lambda other: False) -> None:
        """Set the lab up. The same call twice is safe.

        clear_other: asked with another lab's number where that one was begun here before; True clears what it left.
        Raises Problem where it says no.
        """
        other = self.place.leftovers(self.lab)
        if other:
            if not clear_other(other):
                raise Problem(
                    f"Lab {other} was begun in namespace {self.place.namespace} before, and what it left would be in the way.",
                    f"Clear it and begin: kubeclass start {self.lab.number} --yes",
                    kept=f"everything in namespace {self.place.namespace}",
                )
            self.place.clear(self.lab)
        self.place.prepare(self.lab)

    def check(self, wait: float = WAIT) -> Result:
        """Grade. `wait`: seconds that a change in progress (a rollout, a Pod that starts) is given before it counts as failed."""
        return self.checked(wait)[0]

    def checked(self, wait: float = WAIT) -> tuple[Result, State]:
        """As `check`, with the State that was judged."""
        begin = time.monotonic()
        while True:
            state = self.place.look(self.lab)
            result = judge(self.lab, state)
            waited = time.monotonic() - begin
            if not any(task.pending for task in result.tasks) or waited + PAUSE > wait:
                return Result(
                    result.lab, result.title, result.namespace, result.tasks, waited if waited > PAUSE else 0.0
                ), state
            time.sleep(PAUSE)

    def reset(self) -> None:
        """Delete what was made for this lab and set it up anew."""
        self.place.clear(self.lab)
        self.place.prepare(self.lab)

    def solve(self) -> None:
        """Bring about the lab's own solution."""
        solution = self.lab.folder / "solution"
        if (solution / "make.sh").exists():
            self.place.run(self.lab, (solution / "make.sh").read_text(), solution, timeout=180)
        else:
            self.place.apply(solution)

    def make(self, kind: str, case: Case) -> None:
        """Bring about one case of accepted/ or mistakes/."""
        self.place.run(self.lab, case.make, self.lab.folder / kind)


def place_of(lab: Lab, namespace: str) -> Place:
    """The place in which a lab happens."""
    if lab.text.needs.engine:
        from checker.docker import EnginePlace

        return EnginePlace(namespace)
    return NamespacePlace(namespace)
