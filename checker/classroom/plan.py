"""The plan of a class: which namespaces each learner gets, and every object that the class is made of, as plain data.

No I/O is done here. checker/classroom/walls.py holds what keeps learners apart, rights.py what they may do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from checker.classroom import hub, rights, walls
from checker.classroom.names import ACCOUNT, HUB, LEARNER, OWN_BUDGET, POLICIES, ROLE, WALLED, labelled
from checker.classroom.quota import Quota
from checker.classroom.roster import Learner
from checker.grading.labs import Lab
from checker.model.state import CLASS

Manifest = dict[str, Any]
HOME = "home"  # the role of a learner's first namespace


@dataclass(frozen=True)
class Place:
    """A kind of namespace that every learner of the class has.

    role: the suffix of its name; empty for the learner's first namespace.
    walled: whether the class's network policies are there. Policies add up, so a learner's own could take nothing away.
    budget: whether the class limits what all Pods request together; not where the learner's own quotas do that.
    """

    role: str
    walled: bool = True
    budget: bool = True


@dataclass(frozen=True)
class Cluster:
    """What the plan has to know of the cluster.

    node_addresses: the nodes' own addresses, from which traffic for node ports arrives.
    highest_priority: of the Pods that name no PriorityClass. tiers: which kind of kinds.TIERS is served; empty
    for none. api_servers: addresses and ports at which Pods reach the API server; empty where nobody asked.
    """

    node_addresses: tuple[str, ...] = ()
    highest_priority: int = 0
    tiers: str = ""
    api_servers: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Class:
    """A class as it is meant to be. closed: labels of Pods that a lab's set-up closes by a policy of its own."""

    name: str
    learners: tuple[Learner, ...]
    places: tuple[Place, ...]
    quota: Quota = field(default_factory=Quota)
    cluster: Cluster = field(default_factory=Cluster)
    closed: tuple[dict[str, str], ...] = ()

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The suffixes of the learners' further namespaces."""
        return tuple(place.role for place in self.places if place.role)

    @property
    def has_hub(self) -> bool:
        """Whether the learners have servers in JupyterHub."""
        return HUB in self.suffixes

    def accounts(self, learner: Learner) -> list[str]:
        """The namespaces with a ServiceAccount of the learner's: the first one, and that of the server."""
        home = self.home(learner)
        return [home, *([hub.namespace_of(home)] if self.has_hub else [])]

    def home(self, learner: Learner) -> str:
        """The learner's first namespace, which the names of the others begin with."""
        return f"{self.name}-{learner.id}"

    def namespaces(self, learner: Learner) -> dict[str, str]:
        """The learner's further namespaces by suffix."""
        return {suffix: f"{self.home(learner)}-{suffix}" for suffix in self.suffixes}


def places_for(labs: Iterable[Lab]) -> tuple[Place, ...]:
    """The namespaces that each learner needs for these labs.

    A lab about network policies has namespaces of its own: in a namespace with the class's walls, a deny of the
    learner's would have no effect, because policies only add to what is allowed.
    Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/
    """
    found: dict[str, Place] = {"": Place("")}
    for lab in labs:
        needs = lab.spec.needs
        if needs.policies:
            found[POLICIES] = Place(POLICIES, walled=False)
        for suffix in lab.spec.namespaces:
            role = f"{POLICIES}-{suffix}" if needs.policies else suffix
            found[role] = Place(role, budget=not needs.budgets)
    return tuple(found.values())


def closed_pods(labs: Iterable[Lab], manifests: dict[str, list[Manifest]]) -> tuple[dict[str, str], ...]:
    """The labels of Pods that the set-up of a lab closes for incoming traffic by a policy in a walled namespace.

    The class's wall leaves these Pods to that policy. manifests: of each lab's set-up, by the lab's number.
    """
    selected = [
        dict((one.get("spec") or {}).get("podSelector", {}).get("matchLabels") or {})
        for lab in labs
        if not lab.spec.needs.policies
        for one in manifests.get(lab.number, [])
        if one.get("kind") == "NetworkPolicy"
    ]
    return tuple(labels for labels in selected if labels)


def steps(plan: Class) -> list[tuple[str, list[Manifest]]]:
    """All objects of the class, in steps that are made one after the other: (id of the step, objects).

    What protects comes first. A learner's rights come last: they begin when walls and quotas are there.
    """
    return [
        ("guards", list(_guards(plan))),
        ("namespaces", [_namespace(plan, one, place) for one in plan.learners for place in plan.places]),
        ("contents", [made for one in plan.learners for place in plan.places for made in _contents(plan, one, place)]),
        ("rights", list(_rights(plan))),
    ]


def objects(plan: Class) -> list[Manifest]:
    """All objects of the class."""
    return [made for _, step in steps(plan) for made in step]


def _guards(plan: Class) -> Iterator[Manifest]:
    accounts = [f"system:serviceaccount:{place}:{ACCOUNT}" for one in plan.learners for place in plan.accounts(one)]
    yield from walls.admission(
        plan.name,
        accounts,
        [suffix for suffix in plan.suffixes if suffix != HUB],
        plan.cluster.highest_priority,
        plan.quota,
        has_hub=plan.has_hub,
    )
    if plan.cluster.tiers:
        yield from (walls.tier(plan.cluster.tiers, plan.name, plan.home(one)) for one in plan.learners)


def _namespace(plan: Class, learner: Learner, place: Place) -> Manifest:
    labels = {
        CLASS: plan.name,
        LEARNER: plan.home(learner),
        ROLE: place.role or HOME,
        **({WALLED: "true"} if place.walled else {}),
        **({} if place.budget else {OWN_BUDGET: "true"}),
        # Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/
        "pod-security.kubernetes.io/enforce": "restricted" if place.role == HUB else "baseline",
    }
    annotations = {"kubeclass.dev/learner-id": learner.id, "kubeclass.dev/group": learner.group}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": _name(plan, learner, place), "labels": labels, "annotations": annotations},
    }


def _contents(plan: Class, learner: Learner, place: Place) -> Iterator[Manifest]:
    namespace = _name(plan, learner, place)
    if place.role == HUB:
        yield from hub.contents(plan.name, namespace, plan.home(learner), plan.cluster.api_servers)
        return
    yield from plan.quota.objects(plan.name, namespace, home=not place.role, budget=place.budget)
    if place.walled:
        yield walls.policy(plan.name, namespace, plan.home(learner), plan.closed, plan.cluster.node_addresses)
        yield walls.way_out(plan.name, namespace, plan.home(learner))


def _rights(plan: Class) -> Iterator[Manifest]:
    accounts = [place for one in plan.learners for place in plan.accounts(one)]
    for account in accounts:
        yield labelled("v1", "ServiceAccount", ACCOUNT, plan.name, account)
    for one in plan.learners:
        for place in plan.places:
            namespace = _name(plan, one, place)
            if place.role == HUB:  # where the learner has no rights
                yield from hub.rights_of_the_hub(plan.name, namespace)
            else:
                yield from rights.in_namespace(plan.name, namespace, plan.accounts(one))
    yield from rights.cluster_wide(plan.name, accounts)
    yield from rights.to_ask_the_observer(plan.name, accounts)
    if plan.has_hub:
        yield from hub.right_to_read_the_record(plan.name)


def _name(plan: Class, learner: Learner, place: Place) -> str:
    return f"{plan.home(learner)}-{place.role}" if place.role else plan.home(learner)
