"""A breakage: one change of a healthy namespace, and the root that `kubeclass explain` must tell of it.

A breakage is a function that changes the manifests of a shape and returns the root: `cause@Kind/name`, or
`cause|cause@Kind/name` where each of these causes is right. It takes what it needs at random from `Manifests.random`,
so one seed gives the same breakage again.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import yaml

from tests.explain.case import Case

SHAPES = Path(__file__).parent / "shapes"
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
Manifest = dict[str, Any]
Condition = Callable[[Manifest], object]


def shapes() -> list[str]:
    """The names of the healthy namespaces."""
    return sorted(path.stem for path in SHAPES.glob("*.yaml"))


def manifests_of(shape: str, facts: dict[str, str]) -> list[Manifest]:
    """The objects of a shape. facts: what stands for its words in capitals, such as $NAMESPACE."""
    return list(yaml.safe_load_all(string.Template((SHAPES / f"{shape}.yaml").read_text()).substitute(facts)))


def pod_spec(workload: Manifest) -> Manifest:
    """The spec of the Pods of a workload."""
    spec: Manifest = workload["spec"]
    if workload["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    found: Manifest = spec["template"]["spec"]
    return found


def container(workload: Manifest) -> Manifest:
    """The first container of a workload."""
    found: Manifest = pod_spec(workload)["containers"][0]
    return found


def variable(workload: Manifest, name: str) -> Manifest:
    """The entry of a variable in the first container of a workload."""
    return next(entry for entry in container(workload)["env"] if entry["name"] == name)


class Manifests:
    """The objects of one namespace, while a breakage changes them."""

    def __init__(self, objects: list[Manifest], random: Random) -> None:
        self.objects, self.random = deepcopy(objects), random

    def all(self, kind: str, condition: Condition = lambda _: True) -> list[Manifest]:
        """The objects of a kind that fulfil a condition."""
        return [one for one in self.objects if one["kind"] == kind and condition(one)]

    def one(self, kind: str, condition: Condition = lambda _: True) -> Manifest:
        """One of them at random. Raises IndexError where there is none."""
        return self.random.choice(self.all(kind, condition))

    def named(self, kind: str, name: str) -> Manifest:
        """The object of that kind and name."""
        return next(one for one in self.all(kind) if one["metadata"]["name"] == name)

    def server(self) -> Manifest:
        """A Deployment or StatefulSet whose container has a readiness probe."""
        kind = self.random.choice([k for k in ("Deployment", "StatefulSet") if self.all(k, _is_server)])
        return self.one(kind, _is_server)

    def lasting(self) -> Manifest:
        """A Deployment, StatefulSet or DaemonSet."""
        return self.one(self.random.choice([k for k in WORKLOADS[:3] if self.all(k)]))

    def add(self, text: str) -> Manifest:
        """Add an object, from YAML. Returns it."""
        self.objects.append(yaml.safe_load(text))
        return self.objects[-1]

    def remove(self, obj: Manifest) -> None:
        """Leave an object out."""
        self.objects.remove(obj)

    def slip(self, word: str) -> str:
        """A word with a slip of the keyboard in it: two letters swapped, one left out, doubled, or another one."""
        places = [n for n in range(1, len(word) - 1) if word[n].isalpha() and word[n - 1].isalpha()]
        for _ in range(50):
            n = self.random.choice(places)
            found = self.random.choice(
                [
                    word[: n - 1] + word[n] + word[n - 1] + word[n + 1 :],
                    word[:n] + word[n + 1 :],
                    word[:n] + word[n] + word[n:],
                    word[:n] + _beside(word[n]) + word[n + 1 :],
                ]
            )
            if found != word:
                return found
        raise ValueError(f"no slip in {word}")


_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def _beside(letter: str) -> str:
    """The letter beside this one on the keyboard."""
    for row in _ROWS:
        if letter.lower() in row:
            n = row.index(letter.lower())
            other = row[n + 1] if n + 1 < len(row) else row[n - 1]
            return other.upper() if letter.isupper() else other
    return "x"


def _is_server(workload: Manifest) -> bool:
    return bool(container(workload).get("readinessProbe", {}).get("httpGet"))


def root(causes: str, obj: Manifest) -> str:
    """A root as the cases of tests/explain write it. causes: one, or several with `|` where each is right."""
    return f"{causes}@{obj['kind']}/{obj['metadata']['name']}"


Change = Callable[[Manifests], str | tuple[str, ...]]


@dataclass(frozen=True)
class Breakage:
    """One kind of breakage.

    name: of the function, with hyphens. shapes: the shapes that it can break.
    when: `first` where the namespace is broken from its first apply, `later` where it has worked before, empty where
    either is right.
    script: what is run after the apply, with $NAMESPACE; for what no manifest says.
    remark: whether the right answer is only a remark.
    since: the first seed that draws it. So an earlier seed breaks the same things as before.
    """

    name: str
    title: str
    change: Change
    shapes: tuple[str, ...]
    when: str = ""
    script: str = ""
    remark: bool = False
    since: int = 0


@dataclass(frozen=True)
class Broken:
    """One breakage, as one seed makes it.

    before, after: the objects of the namespace. roots: each is right, as `cause|cause@Kind/name`.
    first: whether the namespace is broken from its first apply.
    """

    breakage: Breakage
    shape: str
    first: bool
    before: list[Manifest]
    after: list[Manifest]
    roots: tuple[str, ...]

    def is_root(self, found: str) -> bool:
        """Whether a finding of `explain` is the root."""
        return any(Case._is(found, one) for one in self.roots)


ALL: list[Breakage] = []


def breakage(
    shapes: str, when: str = "", script: str = "", remark: bool = False, since: int = 0
) -> Callable[[Change], Change]:
    """Put a function into the list of breakages. shapes: the names of the shapes that it can break."""

    def add(change: Change) -> Change:
        name, title = change.__name__.replace("_", "-"), (change.__doc__ or "").strip().rstrip(".")
        ALL.append(Breakage(name, title, change, tuple(shapes.split()), when, script, remark, since))
        return change

    return add


def broken(one: Breakage, seed: str, facts: dict[str, str], shape: str = "") -> Broken:
    """Break a shape, or one that the seed chooses. The same seed gives the same change."""
    random = Random(f"{seed} {one.name}")
    shape = shape or random.choice(one.shapes)
    before = manifests_of(shape, facts)
    manifests = Manifests(before, random)
    first = one.when == "first" or (not one.when and random.random() < 0.5)
    roots = one.change(manifests)
    return Broken(one, shape, first, before, manifests.objects, (roots,) if isinstance(roots, str) else roots)


def drawn(number: int, seed: str) -> list[Breakage]:
    """So many breakages in the order of a seed: all different, as long as there are enough."""
    known = [one for one in ALL if not seed.isdigit() or one.since <= int(seed)]
    found: list[Breakage] = []
    turn = 0
    while len(found) < number:
        found += Random(f"{seed} {turn}").sample(known, min(len(known), number - len(found)))
        turn += 1
    return found


@dataclass
class Changes:
    """What differs between two lists of objects: to apply, and to delete."""

    apply: list[Manifest] = field(default_factory=list)
    delete: list[Manifest] = field(default_factory=list)


def changes(before: list[Manifest], after: list[Manifest]) -> Changes:
    """What has to be done to come from one list of objects to another."""
    known = {_key(one): one for one in before}
    new = {_key(one): one for one in after}
    return Changes(
        [one for key, one in new.items() if known.get(key) != one],
        [one for key, one in known.items() if key not in new],
    )


def _key(obj: Manifest) -> tuple[str, str]:
    return obj["kind"], obj["metadata"]["name"]


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """The fields that differ between two objects, as `path: before → after`."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(k for k in after if k not in before)]:
            yield from differences(before.get(key), after.get(key), f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for n, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(old, new, f"{path}[{n}]")
    elif before != after:
        yield f"{path.lstrip('.')}: {before!r} → {after!r}"
