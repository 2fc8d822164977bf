"""What the kernel counts of a container, read inside it: how often it was made to wait for CPU time.

A cgroup is the kernel's account of a container. Version 2 keeps it in one folder, version 1 in one for each resource.
Sources: https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.stat) and
https://docs.kernel.org/scheduler/sched-bwc.html (nr_periods, nr_throttled).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from checker.sdk import PlainState, PodsInside, ask_in_pod, running_pods, unknown

CPU_STAT = "/sys/fs/cgroup/cpu.stat"
CPU_STAT_V1 = ("/sys/fs/cgroup/cpu/cpu.stat", "/sys/fs/cgroup/cpu,cpuacct/cpu.stat")


@dataclass(frozen=True)
class CpuStat:
    """How often a container was throttled: in `throttled` of the `periods` (0.1 s each) in which it wanted to run."""

    pod: str
    periods: int
    throttled: int
    file: str = CPU_STAT


def read_cpu_stat(pod: str, text: str, file: str = CPU_STAT) -> CpuStat:
    """A cgroup's cpu.stat, of either version. Without a CPU limit there are no periods to count."""
    words = [line.split() for line in text.splitlines()]
    numbers = {line[0]: int(line[1]) for line in words if len(line) == 2 and line[1].isdigit()}
    return CpuStat(pod, numbers.get("nr_periods", 0), numbers.get("nr_throttled", 0), file)


class CpuShape(TypedDict):
    """The text of each file of CPU_STAT and CPU_STAT_V1 that is there."""

    cpu: dict[str, str | None]


@dataclass(frozen=True)
class CpuStatInside(PodsInside["CpuAccount"]):
    """The CPU account of the first container of one running Pod of a Deployment, read in there.

    Read as a function that gives the CpuStat, or raises Unknown where it could not be read.
    """

    deployment: str
    shapes = (CpuShape,)

    def question(self, state: PlainState) -> dict[str, Any] | None:
        deployment = state.find("Deployment", self.deployment)
        pods = running_pods(state, deployment) if deployment else []
        files = {"do": "read", "files": [CPU_STAT, *CPU_STAT_V1]}
        return self.ask({pods[0].name: ask_in_pod(pods[0], {"cpu": files})} if pods else {})

    def read(self, seen: Any) -> CpuAccount:
        return CpuAccount(seen)


class CpuAccount:
    """What was read inside a Pod, or why it could not be read."""

    def __init__(self, seen: dict[str, Any]) -> None:
        self._seen = seen

    def of(self, pods: list[str]) -> CpuStat:
        """The account of one of these Pods. Raises Unknown where none of them was asked, or none could be read."""
        for pod, answer in self._seen.items():
            if pod not in pods:
                continue
            for file, text in (answer.get("cpu") or {}).items():
                if isinstance(text, str) and "nr_throttled" in text:
                    return read_cpu_stat(pod, text, file)
            if why := answer.get("error"):
                unknown("pod-not-askable", form="cpu-stat", why=why, pod=pod, file=CPU_STAT, in_progress=True)
            unknown("pod-not-askable", form="no-cpu-stat", pod=pod, file=CPU_STAT, in_progress=True)
        unknown("not-observed", form="newest-pod", in_progress=True)
