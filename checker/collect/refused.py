"""An API server that does not answer, or refuses: the Problem that says so, with what to do about it."""

from __future__ import annotations

from checker.collect.api import ApiError
from checker.model.catalogue import problem
from cluster import Cluster, Problem


def problem_of(error: ApiError, cluster: Cluster) -> Problem:
    """The Problem that stands for an error."""
    if cluster.kind == "class":
        about = {401: "class-token-ended", 403: "class-refuses", 404: "class-refuses"}.get(error.status, "class-away")
        return problem(about, cluster=cluster.name, message=error.why)
    if cluster.kind == "named" and error.status in (0, 401):
        about = "context-not-known" if error.status else "context-away"
        return problem(about, cluster=cluster.name, message=error.why)
    if error.status == 403:
        return problem("no-access", message=error.why)
    return problem("cluster-refuses" if 400 <= error.status < 500 else "cluster-away", message=error.why)


def is_turned_away(cluster: Cluster, namespace: str, kind: str, error: ApiError) -> bool:
    """Whether an error of listing a kind says that this user has nothing to look for here.

    It does where the credentials have ended, and where a class has taken its namespace back. In a class, each learner
    may list the Pods of their own namespace.
    """
    if cluster.kind == "own":
        return False
    taken_back = cluster.kind == "class" and namespace == cluster.namespace and kind == "Pod"
    return error.status == 401 or (taken_back and error.status in (403, 404))
