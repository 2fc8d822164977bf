"""kubectl, pinned to the course's cluster."""

from __future__ import annotations

import os

from cluster.context import Cluster
from cluster.problem import Problem
from cluster.process import DidNotEnd, finish
from cluster.tools import kubectl_path


def kubectl(
    cluster: Cluster, *arguments: str, input: str | None = None, timeout: float = 60, cwd: str | None = None
) -> str:
    """Run kubectl against the cluster and return what it printed. `timeout` is in seconds.

    Raises Problem with kubectl's own message where it fails or does not come back in time.
    """
    command = [str(kubectl_path()), f"--kubeconfig={cluster.kubeconfig}", f"--context={cluster.context}", *arguments]
    words = "kubectl " + " ".join(arguments)
    env = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    try:
        done = finish(*command, timeout=timeout, input=input, env=env, cwd=cwd)
    except DidNotEnd:
        raise Problem(
            f"`{words}` did not come back within {timeout:.0f} s.", "See how the cluster is: kubeclass status"
        ) from None
    if done.returncode != 0:
        raise Problem(f"`{words}` failed: {done.err.strip()}", "See how the cluster is: kubeclass status")
    return done.out
