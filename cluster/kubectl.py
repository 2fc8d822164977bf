"""kubectl, pinned to the course's cluster."""

from __future__ import annotations

import os

from cluster.context import Cluster
from cluster.language import problem
from cluster.process import DidNotEnd, finish
from cluster.tools import kubectl_path


def kubectl(
    cluster: Cluster, *arguments: str, input: str | None = None, timeout: float = 60, cwd: str | None = None
) -> str:
    """Run kubectl against the cluster and return what it printed. `timeout` is in seconds.

    Raises Problem where it does not end in time, or where it fails: then kubectl's own message is the fact `output`.
    """
    command = [str(kubectl_path()), f"--kubeconfig={cluster.kubeconfig}", f"--context={cluster.context}", *arguments]
    words = "kubectl " + " ".join(arguments)
    env = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    try:
        done = finish(*command, timeout=timeout, input=input, env=env, cwd=cwd)
    except DidNotEnd:
        raise problem("kubectl-late", command=words, seconds=round(timeout)) from None
    if done.returncode != 0:
        raise problem("kubectl-failed", command=words, output=done.err.strip())
    return done.out
