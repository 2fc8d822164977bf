"""What a Pod may ask of the API server: its ServiceAccount, and the Roles that are bound to it.

Sources: https://kubernetes.io/docs/reference/access-authn-authz/rbac/ and
https://kubernetes.io/docs/concepts/security/service-accounts/
"""

from __future__ import annotations

import re
from typing import Any

from checker.model.fault import Failed, fail
from checker.model.spelling import nearest
from checker.model.state import Object, State

# User "system:serviceaccount:learn:default" cannot list resource "pods" in API group "" in the namespace "learn"
_FORBIDDEN = re.compile(
    r'User \\?"system:serviceaccount:([^:"\\]+):([^"\\]+)\\?" cannot (\w+) resource \\?"([^"\\]+)\\?"[^:\n]*?'
    r'(?:in the namespace \\?"([^"\\]+)|at the cluster scope)'
)
_GROUP = re.compile(r'in API group \\?"([^"\\]*)')
_NO_TOKEN = re.compile(
    r"/var/run/secrets/kubernetes\.io/serviceaccount/token[^\n]*no such file|"
    r"No such file or directory: '/var/run/secrets/kubernetes\.io/serviceaccount",
    re.I,
)


def explain_forbidden(state: State, pod: Object, log: str) -> Failed | None:
    """Why the API server refuses a container's request, by the container's log; None where the log says nothing of it.

    The root may be a RoleBinding that names a Role or a ServiceAccount that does not exist.
    """
    found = _FORBIDDEN.search(log)
    if not found:
        return None
    home, account, verb, resource, where = found.groups()
    for binding in _bindings(state, where or home):
        subjects = _accounts(binding)
        if (account, home) in subjects or any(similar(account, home, other) for other in subjects):
            try:
                walk_binding(state, binding)
                _walk_subjects(state, binding)
            except Failed as end:
                return end
    try:
        _explain_names_only(state, pod, found.groups())
        _explain_other_group(state, pod, found.groups(), _GROUP.search(found[0]))
        _explain_subject_elsewhere(state, pod, found.groups())
    except Failed as end:
        return end
    there = _bindings(state, where or home)
    given = sorted(binding.name for binding in there if (account, home) in _accounts(binding))
    others = {name for binding in there for name, _ in _accounts(binding)} - {account}
    return Failed(
        "rbac-forbidden",
        pod,
        form="" if where else "cluster",
        account=account,
        account_namespace=home,
        verb=verb,
        resource=resource,
        where=where or "",
        bindings=given,
        unbound_in="" if given or "RoleBinding" in state.unlisted else where or home,
        others=[] if given else sorted(others),
        quote=found[0][:300],
    )


_WITHOUT_NAME = ("list", "watch", "create", "deletecollection")  # requests that name no object


def _explain_names_only(state: State, pod: Object, request: tuple[str, ...]) -> None:
    """Raises Failed where a bound Role has the permission for certain names only, and the request names no object.

    Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
    """
    home, account, verb, resource, where = request
    for binding in _bindings(state, where or home) if verb in _WITHOUT_NAME else []:
        role = binding.raw.get("roleRef") or {}
        bound = (account, home) in _accounts(binding) and role.get("kind") == "Role" and "Role" not in state.unlisted
        found = state.find("Role", role["name"], binding.namespace) if bound else None
        for rule in (found.raw.get("rules") or []) if found else []:
            resources, verbs = set(rule.get("resources") or []), set(rule.get("verbs") or [])
            if rule.get("resourceNames") and {resource, "*"} & resources and {verb, "*"} & verbs:
                names, rolename = rule["resourceNames"], found.name if found else ""
                facts = {"account": account, "verb": verb, "resource": resource, "names": names, "role": rolename}
                raise Failed("rbac-names-only", pod, **facts, home=home, where=where or home)


def _explain_other_group(state: State, pod: Object, request: tuple[str, ...], asked: re.Match[str] | None) -> None:
    """Raises Failed where a bound Role has the permission for a resource of this name, but in another API group.

    Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
    """
    home, account, verb, resource, where = request
    for binding in _bindings(state, where or home) if asked else []:
        role = binding.raw.get("roleRef") or {}
        bound = (account, home) in _accounts(binding) and role.get("kind") == "Role" and "Role" not in state.unlisted
        found = state.find("Role", role["name"], binding.namespace) if bound else None
        for rule in (found.raw.get("rules") or []) if found else []:
            groups, allowed = rule.get("apiGroups") or [], {verb, "*"} & set(rule.get("verbs") or [])
            if found and asked and resource in (rule.get("resources") or []) and allowed and "*" not in groups:
                facts = {"account": account, "verb": verb, "resource": resource, "group": asked[1] or '""'}
                given = [group or '""' for group in groups]
                if asked[1] not in groups:
                    raise Failed("rbac-other-group", found, pod=pod.name, given=given, where=binding.namespace, **facts)


def _explain_subject_elsewhere(state: State, pod: Object, request: tuple[str, ...]) -> None:
    """Raises Failed where a RoleBinding is for a ServiceAccount of this name, but of another namespace."""
    home, account, verb, resource, where = request
    there = _bindings(state, where or home)
    if any((account, home) in _accounts(binding) for binding in there):
        return
    for binding in there:
        others = sorted(namespace for name, namespace in _accounts(binding) if name == account and namespace != home)
        if others:
            facts = {"account": account, "home": home, "others": others, "verb": verb, "resource": resource}
            raise Failed("binding-subject-elsewhere", binding, pod=pod.name, **facts)


def explain_no_token(state: State, pod: Object, log: str) -> Failed | None:
    """Why a container does not find the token of its ServiceAccount; None where its log says nothing of it."""
    if not _NO_TOKEN.search(log):
        return None
    name = pod.spec.get("serviceAccountName", "default")
    account = None if "ServiceAccount" in state.unlisted else state.find("ServiceAccount", name, pod.namespace)
    by_pod = pod.spec.get("automountServiceAccountToken")
    by_account = by_pod is None and account and account.raw.get("automountServiceAccountToken") is False
    form = "pod" if by_pod is False else "account" if by_account else ""
    return Failed("token-not-mounted", pod, form=form, account=name)


def walk_binding(state: State, binding: Object) -> None:
    """Raises Failed where the Role of a RoleBinding does not exist.

    A ClusterRole is not looked up: a learner may not be allowed to list ClusterRoles.
    """
    role = binding.raw.get("roleRef") or {}
    if role.get("kind") == "Role" and not state.find("Role", role["name"], binding.namespace):
        known = sorted(r.name for r in state.all("Role", binding.namespace))
        fail("role-missing", binding, role=role["name"], near=nearest(role["name"], known), roles=known)


def _walk_subjects(state: State, binding: Object) -> None:
    """Raises Failed where a ServiceAccount that a RoleBinding names does not exist.

    Asked only where a request is refused: a RoleBinding may be created before its ServiceAccount.
    """
    for name, namespace in _accounts(binding):
        if namespace == binding.namespace and not state.find("ServiceAccount", name, namespace) and name != "default":
            known = sorted(a.name for a in state.all("ServiceAccount", namespace))
            fail("binding-subject-missing", binding, account=name, near=nearest(name, known), accounts=known)


def similar(account: str, home: str, other: tuple[str, str]) -> bool:
    """Whether the name of a binding's subject is similar to that of this ServiceAccount."""
    return other[1] == home and nearest(account, [other[0]]) is not None


def _bindings(state: State, namespace: str) -> list[Object]:
    return [b for b in state.objects.get("RoleBinding", []) if b.namespace == namespace]


def _accounts(binding: Object) -> list[tuple[str, str]]:
    """The ServiceAccounts that a RoleBinding names, as (name, namespace)."""
    subjects: list[dict[str, Any]] = binding.raw.get("subjects") or []
    return [(s["name"], s.get("namespace", binding.namespace)) for s in subjects if s.get("kind") == "ServiceAccount"]


def walk_refused_requests(state: State, pod: Object) -> None:
    """A container that runs, and says that the API server refuses what it asks, or that it has no token to ask with."""
    for container in pod.containers:
        log = state.log_if_read(pod.name, container["name"]) or ""
        found = explain_forbidden(state, pod, log)
        if not found and len(_NO_TOKEN.findall(log)) > 1:  # a program that can do without a token says so once
            found = explain_no_token(state, pod, log)
        if isinstance(found, Failed):
            raise found
