"""From a roster and the labs' folders to the plan of a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from checker.classroom.names import HUB
from checker.classroom.plan import Class, Cluster, Place, closed_pods, places_for
from checker.classroom.quota import Quota, too_little, use_of
from checker.classroom.roster import Learner
from checker.grading.labs import Lab, all_labs, load_lab

Manifest = dict[str, Any]


def labs_of_a_class() -> list[Lab]:
    """The finished labs."""
    return [load_lab(number) for number in all_labs()]


def further_suffixes(labs: Sequence[Lab]) -> tuple[str, ...]:
    """The suffixes of the further namespaces of each learner."""
    return tuple(place.role for place in places_for(labs) if place.role)


def build(
    name: str,
    learners: Sequence[Learner],
    quota: Quota,
    cluster: Cluster,
    labs: Sequence[Lab],
    has_hub: bool = False,
) -> Class:
    """The class as it is meant to be. has_hub: whether each learner has room for a server in JupyterHub."""
    begun = {
        lab.number: [one for made in manifests(lab, "setup").values() for one in made]
        for lab in labs
        if not lab.spec.needs.engine
    }
    places = (*places_for(labs), *([Place(HUB)] if has_hub else []))
    return Class(name, tuple(learners), places, quota, cluster, closed_pods(labs, begun))


def manifests(lab: Lab, *folders: str) -> dict[str, list[Manifest]]:
    """What a lab's folders hold, by suffix of the namespace ("" is the lab's own), and what is made from a seed.

    Of two objects of one kind and name, the one of the later folder counts.
    """
    found: dict[str, dict[tuple[str, str], Manifest]] = {}

    def add(suffix: str, one: Any) -> None:
        if isinstance(one, dict) and "kind" in one:
            name = str((one.get("metadata") or {}).get("name"))
            found.setdefault(suffix, {})[str(one["kind"]), name] = one

    for folder in folders:
        for suffix in ("", *lab.spec.namespaces):
            for file in sorted((lab.folder / folder / suffix).glob("*.yaml")):
                for one in yaml.safe_load_all(file.read_text()):
                    add(suffix, one)
    if lab.is_generated:
        for suffix, made in lab.generated("class").items():
            for one in made:
                add(suffix, one)
    return {suffix: list(made.values()) for suffix, made in found.items()}


def short_of(labs: Sequence[Lab], quota: Quota, workers: int) -> list[tuple[str, str, str, str]]:
    """The labs whose set-up and solution need more than the quota gives: (lab, resource, needed, given)."""
    found = []
    for lab in labs:
        if lab.spec.needs.engine:
            continue
        for suffix, made in manifests(lab, "setup", "solution").items():
            home = not suffix and not lab.spec.needs.policies
            found += [(lab.number, *one) for one in too_little(quota, use_of(made, workers), home)]
    return found
