"""Suspects: in a task marked `find_out`, the learner names what is wrong before the checker does.

A suspect is an object and a choice of what is wrong with it. A root is the fault that a task failed for, as
`cause@Kind/name`; the object is the one that a person would change.
"""

from __future__ import annotations

from collections.abc import Iterable

from checker.model.catalogue import catalogue

# What a learner may choose. The sentence of each is `suspect-…` in ui.yaml.
CHOICES = (
    "command",
    "environment",
    "image",
    "name",
    "permission",
    "policy",
    "port",
    "probe",
    "replicas",
    "resources",
    "scheduling",
    "selector",
    "storage",
)
# The choices that are right for the causes of a file of the catalogue, where an entry does not say otherwise.
_OF_SUBJECT = {
    "access": ("permission",),
    "configuration": ("environment",),
    "containers": ("command",),
    "dns": ("name",),
    "images": ("image",),
    "network-policies": ("policy",),
    "probes": ("probe",),
    "resources": ("resources",),
    "scheduling": ("scheduling",),
    "services": ("selector", "port"),
    "storage": ("storage",),
    "workloads": ("replicas",),
}


def right_choices(cause: str) -> tuple[str, ...]:
    """What may rightly be named for a cause. Every choice is right for a cause that none of them describes."""
    entry = catalogue()[cause]
    return entry.suspects or _OF_SUBJECT.get(entry.subject, CHOICES)


def suspected(roots: Iterable[str], objects: Iterable[str], choice: str) -> str:
    """The root that a suspect names rightly; empty where it names none.

    objects: the object that was named, and the object that it was made from, as `Kind/name`.
    """
    named = set(objects)
    for root in roots:
        cause, _, where = root.partition("@")
        if where in named and choice in right_choices(cause):
            return root
    return ""
