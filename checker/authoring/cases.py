"""The cases of a lab on the cluster: how each is brought about, and what it must come to.

Proving a lab (tests/labs) and `kubeclass ci` use the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from checker.collect import observer
from checker.collect.api import Api
from checker.grading.labs import Case, Lab
from checker.model.catalogue import say
from checker.model.state import State
from checker.model.verdict import Result
from checker.session import Session
from cluster import current, engine
from cluster.kubectl import kubectl
from cluster.nodes import nodes_of
from cluster.process import run

WAIT = 90  # seconds that a change in progress is given; a case is judged as soon as nothing is in progress
# Waits for what runs there from the beginning.
SET_UP = "kubectl wait deployments --all --for=condition=Available --timeout=60s || true"


def cases_of(lab: Lab) -> Iterator[tuple[str, str, Case]]:
    """A lab's cases: kind, name, and what it is made of."""
    yield "setup", "setup", Case(title="", make="true")
    yield "solution", "solution", Case(title="", make="true", alone=lab.spec.needs.nodes)
    for kind in ("accepted", "mistakes"):
        for name, case in lab.cases(kind).items():
            yield kind, name, case


def bring_about(session: Session, kind: str, case: Case) -> tuple[Result, State]:
    """Start the lab, do what the case says, and check. Raises Problem where a script fails.

    What an earlier run of the case left may still be terminating (see put_away). `start` waits for the lab's
    namespaces.
    """
    if not session.lab.spec.needs.engine:
        other = f"namespace/{beside(session)}"
        kubectl(current(), "wait", "--for=delete", other, f"--timeout={WAIT}s", timeout=WAIT + 10)
    session.start()
    if kind == "solution":
        session.solve()
    elif kind != "setup":
        session.make(kind, case)
    elif not session.lab.spec.needs.engine:
        session.environment.run(session.lab, SET_UP, session.lab.folder)
    return session.checked(WAIT)


def not_as_expected(kind: str, case: Case, result: Result) -> str:
    """In which way the verdicts are not those that the case names; "" where they are.

    After the set-up alone no task may pass. The solution and accepted answers pass. A mistake fails for its causes.
    """
    if kind == "setup":
        passed = [task.id for task in result.tasks if task.verdict == "passed"]
        return say("ci-setup-passes", tasks=passed) if passed else ""
    wanted = {**case.fails, **case.unknown}
    found = {task.id: task.cause for task in result.tasks if task.verdict != "passed"}
    if found == wanted:
        return ""
    return say("ci-other-verdicts", expected=_listed(wanted), found=_listed(found)) + f"\n{in_words(result)}"


def in_words(result: Result) -> str:
    """The verdicts, a line for each."""
    return "\n".join(f"{t.id}: {t.verdict} {t.cause}: {t.message}" for t in result.tasks)


def _listed(causes: dict[str, str]) -> list[str]:
    return [f"{task}: {cause}" for task, cause in sorted(causes.items())]


def beside(session: Session) -> str:
    """The namespace that a case's script may make beside those of the lab."""
    return f"{session.environment.namespace}-other"


def put_away(session: Session, *further: str) -> None:
    """Delete what a case made, with its namespaces. further: namespaces that its script made."""
    if session.lab.spec.needs.engine:
        session.environment.clear(session.lab)
    else:
        namespace = session.environment.namespace
        observer.forget(Api(current()), namespace)  # or it would go on asking for what is no longer there
        gone = [beside(session), *further, *session.lab.namespaces(namespace).values(), namespace]
        kubectl(current(), "delete", "namespace", *gone, "--ignore-not-found", "--wait=false")


def put_nodes_back() -> None:
    """All nodes run, are ready, and take Pods, whatever a case did to them."""
    cluster, command = current(), engine.command()
    stopped = [node.name for node in nodes_of(command, cluster) if not node.running]
    if stopped:
        run(command, "start", *stopped, timeout=60)
    workers = [node.name for node in nodes_of(command, cluster) if node.role == "worker"]
    kubectl(cluster, "wait", "node", *workers, "--for=condition=Ready", "--timeout=90s", timeout=100)
    kubectl(cluster, "uncordon", *workers)
