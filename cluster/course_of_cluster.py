"""The version of the course with which a cluster was brought up: an annotation of namespace kubeclass."""

from __future__ import annotations

import json
from collections.abc import Iterator

from cluster import observer
from cluster.context import Cluster
from cluster.kubectl import kubectl
from cluster.language import say
from cluster.problem import Problem
from cluster.versions import course_version, versions

ANNOTATION = "kubeclass.dev/course"


def note(cluster: Cluster) -> None:
    """Write this course's version into the cluster. Raises Problem where the API server refuses it."""
    words = ("namespace", observer.NAMESPACE, f"{ANNOTATION}={course_version()}", "--overwrite")
    kubectl(cluster, "annotate", *words, timeout=20)


def read(cluster: Cluster) -> str:
    """The version, such as "0.1.0"; "" where the cluster does not say, or does not answer."""
    try:
        found = json.loads(kubectl(cluster, "get", "namespace", observer.NAMESPACE, "-o", "json", timeout=15))
    except Problem:
        return ""
    return str(found["metadata"].get("annotations", {}).get(ANNOTATION, ""))


def differences(of_cluster: str, kubernetes: str) -> Iterator[str]:
    """Sentences for a cluster of another version of the course, with what to do.

    of_cluster: as `read` returns it. kubernetes: the version that runs, such as "v1.37.2", "" where it is not known. A
    cluster has the Kubernetes with which it was created: `up` does not change it.
    """
    if not of_cluster or of_cluster == course_version():
        return
    wanted = str(versions()["modules"]["kubernetes"])
    if kubernetes and _minor(kubernetes) != _minor(wanted):
        yield say(
            "course-other-kubernetes", cluster=of_cluster, course=course_version(), found=kubernetes, wanted=wanted
        )
    else:
        yield say("course-other", cluster=of_cluster, course=course_version())


def _minor(version: str) -> list[str]:
    """["1", "37"] of v1.37.2"""
    return version.removeprefix("v").split(".")[:2]
