"""How long a change takes to show as a verdict, and what it costs to watch.

Lab 07, solved: the Service's selector is broken and put right again. Each time is measured from the API server's answer
to that change until the panel's model has the verdict. A repair shows in the requests, and kube-proxy takes up changes
at most once a second.
"""

from __future__ import annotations

import resource
import statistics
import threading
import time

from checker import lab
from checker.collect.api import Api
from checker.ui.panel.widget import LabPanel
from cluster import current
from tests.bench.measure import measured, solved

CHANGES, QUIET = 200, 30
SHOWN = {  # whether it is a repair: what it is called in the table
    False: "live: from the API server's answer to a change until the panel's model has the fault that it makes",
    True: "the same until it has a repair that shows in requests (kube-proxy takes changes up once a second)",
}


def main() -> None:
    with solved("07") as session:
        follow(session.environment.namespace, Api(current()))


def follow(namespace: str, api: Api) -> None:
    reported, at, wanted = threading.Event(), [0.0], ["passed"]
    shown = LabPanel(lab("07", namespace))

    def note(change: dict[str, object]) -> None:
        if shown.view["tasks"][0]["word"] == wanted[0] and not reported.is_set():
            at[0] = time.perf_counter()
            reported.set()

    taken: dict[bool, list[float]] = {True: [], False: []}
    shown.observe(note, "view")
    shown.on_request({"do": "here"})
    assert reported.wait(30)
    begin = time.process_time(), time.monotonic()
    for n in range(CHANGES):
        time.sleep(1)  # until nothing changes any more
        repair = n % 2 == 1
        wanted[0] = "passed" if repair else "failed"
        reported.clear()
        answered = select(api, namespace, "guestbook" if repair else "guestbok")
        assert reported.wait(30), f"change {n} was never told"
        taken[repair].append(at[0] - answered)
        if n % 20 == 0:
            shown.on_request({"do": "here"})  # as a front end does
    busy = share_since(*begin)
    time.sleep(5)
    begin = time.process_time(), time.monotonic()
    time.sleep(QUIET)
    quiet, memory = share_since(*begin), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shown.viewers.rest()
    for repair, some in taken.items():
        middle, most = statistics.median(some), statistics.quantiles(some, n=20)[18]
        measured(SHOWN[repair], f"{middle * 1000:.0f} ms, 95 of 100 within {most * 1000:.0f} ms", "200 ms", most <= 0.2)
    measured(
        "watching a quiet cluster",
        f"{quiet:.1%} of a core, {memory:.0f} MB",
        "5 %, 100 MB",
        quiet < 0.05 and memory < 100,
    )
    measured("watching while something changes every second", f"{busy:.0%} of a core", "25 %", busy < 0.25)


def select(api: Api, namespace: str, app: str) -> float:
    """Change the Service's selector; when the API server had answered (`time.perf_counter`)."""
    api.request(
        "PATCH",
        f"/api/v1/namespaces/{namespace}/services/guestbook",
        {"spec": {"selector": {"app": app}}},
        content="application/merge-patch+json",
    )
    return time.perf_counter()


def share_since(cpu: float, begin: float) -> float:
    """How much of one core this process has used since then."""
    return (time.process_time() - cpu) / (time.monotonic() - begin)


if __name__ == "__main__":
    main()
