"""What keeps the learners of a class apart: network policies, and admission policies that nobody in the class can pass.

A network policy only adds to what is allowed. So a learner could open with one policy what the class's policy closes.
An admission policy refuses that: in a walled namespace a learner's own policy may let Pods out only to the learner's
own namespaces. docs/class-security.md says what the walls do not hold.
Sources: https://kubernetes.io/docs/concepts/services-networking/network-policies/
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from checker.classroom.kinds import VERSIONS
from checker.classroom.names import ACCOUNT, HUB, LEARNER, OBSERVER, OWN_BUDGET, ROLE, WALLED, labelled, shared
from checker.classroom.quota import LARGEST_ANNOTATIONS, LARGEST_DATA, Quota
from checker.grading.seeds import SEED
from checker.model.catalogue import say
from checker.model.state import CLASS, LAB, STARTED

Manifest = dict[str, Any]
NETWORKING = "networking.k8s.io/v1"
ADMISSION = "admissionregistration.k8s.io/v1"
NAME = "kubernetes.io/metadata.name"  # a label that the API server gives to each namespace: its name
# Where a cluster's DNS runs, and the ports at which its Pods listen.
DNS_NAMESPACES, DNS_PORTS = ["kube-system", "openshift-dns"], (53, 5353)
LOCAL_DNS = "169.254.20.10/32"  # the address of NodeLocal DNSCache
WALL, WAY_OUT = "class-wall", "class-way-out"


def policy(
    class_name: str, namespace: str, home: str, closed: Sequence[dict[str, str]], node_addresses: Sequence[str]
) -> Manifest:
    """Who reaches the Pods of a namespace: Pods of the same learner, the observer, and the nodes (for node ports).

    closed: labels of Pods that are left to a policy of a lab's set-up.
    """
    left_out = [
        {"key": key, "operator": "NotIn", "values": [value]} for labels in closed for key, value in labels.items()
    ]
    sources: list[Manifest] = [
        {"namespaceSelector": {"matchLabels": {LEARNER: home}}},
        {"namespaceSelector": {"matchLabels": {NAME: OBSERVER}}, "podSelector": {"matchLabels": {"app": "observer"}}},
        *({"ipBlock": {"cidr": one_address(address)}} for address in node_addresses),
    ]
    spec = {
        "podSelector": {"matchExpressions": left_out} if left_out else {},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": sources}],
    }
    return labelled(NETWORKING, "NetworkPolicy", WALL, class_name, namespace, spec=spec)


def way_out(class_name: str, namespace: str, home: str) -> Manifest:
    """Whom the Pods of a namespace reach: Pods of the same learner, and the cluster's DNS."""
    spec = {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [
            {"to": [{"namespaceSelector": {"matchLabels": {LEARNER: home}}}]},
            to_dns(),
        ],
    }
    return labelled(NETWORKING, "NetworkPolicy", WAY_OUT, class_name, namespace, spec=spec)


def to_dns() -> Manifest:
    """The rule that lets Pods reach the cluster's DNS."""
    dns = [
        {"namespaceSelector": {"matchExpressions": [{"key": NAME, "operator": "In", "values": DNS_NAMESPACES}]}},
        {"ipBlock": {"cidr": LOCAL_DNS}},
    ]
    ports = [{"port": port, "protocol": protocol} for port in DNS_PORTS for protocol in ("UDP", "TCP")]
    return {"to": dns, "ports": ports}


def one_address(address: str) -> str:
    """The block of addresses that holds just this one."""
    return f"{address}/{128 if ':' in address else 32}"


def tier(kind: str, class_name: str, home: str) -> Manifest:
    """A network policy of the cluster: no Pod of another learner reaches this learner's, whatever other policies say.

    kind: of kinds.TIERS. Source: https://network-policy-api.sigs.k8s.io/api-overview/
    """
    own = {"matchLabels": {LEARNER: home}}
    others = {
        "matchLabels": {CLASS: class_name},
        "matchExpressions": [{"key": LEARNER, "operator": "NotIn", "values": [home]}],
    }
    spec = {
        **({"tier": "Admin"} if kind == "ClusterNetworkPolicy" else {}),
        "priority": 10,
        "subject": {"namespaces": own},
        "ingress": [{"name": "other-learners", "action": "Deny", "from": [{"namespaces": others}]}],
    }
    return labelled(VERSIONS[kind], kind, f"kubeclass-class-{home}", class_name, spec=spec)


def admission(
    class_name: str,
    accounts: Sequence[str],
    suffixes: Sequence[str],
    highest_priority: int,
    quota: Quota,
    has_hub: bool = False,
) -> Iterator[Manifest]:
    """The admission policies of a class and their bindings.

    accounts: the learners' user names. suffixes: of the learners' further namespaces.
    highest_priority: the priority of Pods that name no PriorityClass, which no Pod of the class may exceed.
    has_hub: whether servers of JupyterHub run as the learners' own accounts, where no learner creates Pods.
    """
    # A list of names, and no pattern: the policy must not concern an account outside the class that has a similar name.
    by_learner = {"name": "by-a-learner", "expression": f"request.userInfo.username in {json.dumps(list(accounts))}"}
    own = [
        {
            "name": "home",
            "expression": f"has(namespaceObject.metadata.labels) && '{LEARNER}' in namespaceObject.metadata.labels"
            f" ? namespaceObject.metadata.labels['{LEARNER}'] : ''",
        },
        {
            "name": "own",
            "expression": f"[variables.home] + {json.dumps([f'-{one}' for one in suffixes])}"
            ".map(suffix, variables.home + suffix)",
        },
    ]
    in_class = {"namespaceSelector": {"matchLabels": {CLASS: class_name}}}
    walled = {"namespaceSelector": {"matchLabels": {CLASS: class_name, WALLED: "true"}}}
    yield from _guard(
        class_name,
        "kept",
        [
            _on(
                [*_LEARNERS_GROUPS, "rbac.authorization.k8s.io"],
                ["*"],
                ["CREATE", "UPDATE", "DELETE"],
            )
        ],
        [_valid(_NOT_THE_CLASSES, "kept", label=CLASS)],
        conditions=[
            by_learner,
            {
                "name": "not-a-changed-namespace",  # which the policy below is about
                "expression": "request.resource.resource != 'namespaces' || request.operation == 'DELETE'",
            },
        ],
    )
    yield from _guard(
        class_name,
        "namespaces",
        [_on([""], ["namespaces"], ["UPDATE"])],
        [
            _valid(_SAME_LABELS, "labels", label=LAB),
            _valid(_SAME_ANNOTATIONS, "annotations", annotations=[STARTED, SEED]),
            _valid(_SAME_OWNERS, "owners"),
        ],
        conditions=[by_learner],
    )
    yield from _guard(
        class_name,
        "pods",
        [_on([""], ["pods"], ["CREATE"])],
        [
            _valid(
                f"!has(object.spec.priority) || object.spec.priority <= {highest_priority}",
                "priority",
            ),
            _valid(
                f"!has(object.spec.serviceAccountName) || object.spec.serviceAccountName != '{ACCOUNT}'"
                + (f" || {_OF_THE_HUB}" if has_hub else ""),
                "account",
            ),
            _valid(
                _bounded(quota),
                "requests",
                cpu=quota.container_cpu,
                memory=quota.container_memory,
            ),
        ],
        matches=in_class,
    )
    yield from _guard(
        class_name,
        "services",
        [_on([""], ["services"], ["CREATE", "UPDATE"])],
        [
            _valid("object.spec.type != 'LoadBalancer'", "balancer"),
            _valid("!has(object.spec.externalIPs) || size(object.spec.externalIPs) == 0", "addresses"),
            _valid(_OWN_NAME, "alias"),
        ],
        conditions=[by_learner],
        variables=own,
    )
    yield from _guard(
        class_name,
        "secrets",
        [_on([""], ["secrets"], ["CREATE", "UPDATE"])],
        [
            _valid(
                "!has(object.type) || object.type != 'kubernetes.io/service-account-token'",
                "token",
            )
        ],
        conditions=[by_learner],
    )
    yield from _guard(
        class_name,
        "annotations",
        [_on(_LEARNERS_GROUPS, ["*"], ["CREATE", "UPDATE"])],
        [_valid(_small("metadata.annotations", LARGEST_ANNOTATIONS), "large-annotations", most=LARGEST_ANNOTATIONS)],
        conditions=[by_learner],
    )
    yield from _guard(
        class_name,
        "data",
        [_on([""], ["configmaps", "secrets"], ["CREATE", "UPDATE"])],
        [_valid(_small(field, LARGEST_DATA), "large-data", most=LARGEST_DATA) for field in ("data", "binaryData")],
        conditions=[by_learner],
    )
    yield from _guard(
        class_name,
        "egress",
        [_on(["networking.k8s.io"], ["networkpolicies"], ["CREATE", "UPDATE"])],
        [
            _valid(
                _OWN_WAY_OUT,
                "egress",
                label=NAME,
            )
        ],
        conditions=[by_learner],
        variables=own,
        matches=walled,
    )


_NOT_THE_CLASSES = (
    f"(object == null || !has(object.metadata.labels) || !('{CLASS}' in object.metadata.labels)) && "
    f"(oldObject == null || !has(oldObject.metadata.labels) || !('{CLASS}' in oldObject.metadata.labels))"
)


# The API groups of what a learner may create (rights.py).
_LEARNERS_GROUPS = ["", "apps", "batch", "networking.k8s.io", "policy", "autoscaling"]


def _small(field: str, most: int) -> str:
    """Whether the texts in a map of an object have at most so many characters together.

    Source: https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-list-library
    """
    return f"!has(object.{field}) || object.{field}.map(key, size(object.{field}[key])).sum() <= {most}"


def _same(field: str, *but: str) -> str:
    """Whether a map of the metadata has not changed, but for some keys."""
    new, old, changeable = f"object.metadata.{field}", f"oldObject.metadata.{field}", json.dumps(list(but))
    return (
        f"(!has({new}) || {new}.all(key, key in {changeable} || "
        f"(has({old}) && key in {old} && {old}[key] == {new}[key])))"
        f" && (!has({old}) || {old}.all(key, key in {changeable} || (has({new}) && key in {new})))"
    )


_SAME_LABELS = _same("labels", LAB)
_SAME_ANNOTATIONS = _same("annotations", STARTED, SEED)
_SAME_OWNERS = (
    "!has(object.metadata.ownerReferences) && has(object.metadata.finalizers) == has(oldObject.metadata.finalizers) && "
    "(!has(object.metadata.finalizers) || object.metadata.finalizers == oldObject.metadata.finalizers) && "
    "object.spec == oldObject.spec"
)
_OF_THE_HUB = (
    f"(has(namespaceObject.metadata.labels) && '{ROLE}' in namespaceObject.metadata.labels"
    f" && namespaceObject.metadata.labels['{ROLE}'] == '{HUB}')"
)
# The name's parts: Service, namespace, `svc`, and the cluster's domain.
_OWN_NAME = (
    "object.spec.type != 'ExternalName' || (object.spec.externalName.split('.').size() >= 3 && "
    "object.spec.externalName.split('.')[1] in variables.own && object.spec.externalName.split('.')[2] == 'svc')"
)
_OWN_WAY_OUT = (
    "!has(object.spec.egress) || object.spec.egress.all(rule, has(rule.to) && size(rule.to) > 0 && rule.to.all(peer, "
    "!has(peer.ipBlock) && (!has(peer.namespaceSelector) || (has(peer.namespaceSelector.matchLabels) && "
    f"'{NAME}' in peer.namespaceSelector.matchLabels && "
    f"(peer.namespaceSelector.matchLabels['{NAME}'] == 'kube-system' || "
    f"peer.namespaceSelector.matchLabels['{NAME}'] in variables.own)))))"
)


def _bounded(quota: Quota) -> str:
    """Whether no container of a Pod requests more than one may, in a namespace without the class's sum."""

    def below(containers: str) -> str:
        parts = [
            f"(!('{resource}' in one.resources.requests) || "
            f"quantity(string(one.resources.requests['{resource}'])).compareTo(quantity('{most}')) <= 0)"
            for resource, most in (("cpu", quota.container_cpu), ("memory", quota.container_memory))
        ]
        return f"{containers}.all(one, !has(one.resources) || !has(one.resources.requests) || ({' && '.join(parts)}))"

    here = f"!has(namespaceObject.metadata.labels) || !('{OWN_BUDGET}' in namespaceObject.metadata.labels)"
    first = f"(!has(object.spec.initContainers) || {below('object.spec.initContainers')})"
    return f"({here}) || ({below('object.spec.containers')} && {first})"


def _on(groups: list[str], resources: list[str], operations: list[str]) -> Manifest:
    return {"apiGroups": groups, "apiVersions": ["*"], "operations": operations, "resources": resources, "scope": "*"}


def _valid(expression: str, message: str, **facts: Any) -> Manifest:
    """message: an id of ui.yaml, behind `class-guard-`."""
    return {"expression": expression, "message": say(f"class-guard-{message}", **facts), "reason": "Forbidden"}


def _guard(
    class_name: str,
    what: str,
    rules: list[Manifest],
    validations: list[Manifest],
    conditions: list[Manifest] | None = None,
    variables: list[Manifest] | None = None,
    matches: Manifest | None = None,
) -> Iterator[Manifest]:
    """An admission policy and its binding.

    matches: where it holds. For namespaces themselves this must be everywhere: a selector would look at the labels
    that a change is about to give.
    """
    name = shared(class_name, what)
    spec: Manifest = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": rules},
        "validations": validations,
        **({"matchConditions": conditions} if conditions else {}),
        **({"variables": variables} if variables else {}),
    }
    yield labelled(ADMISSION, "ValidatingAdmissionPolicy", name, class_name, spec=spec)
    binding = {"policyName": name, "validationActions": ["Deny"], **({"matchResources": matches} if matches else {})}
    yield labelled(ADMISSION, "ValidatingAdmissionPolicyBinding", name, class_name, spec=binding)
