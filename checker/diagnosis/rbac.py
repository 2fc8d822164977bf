"""What a Pod may ask of the API server: its ServiceAccount, and the Roles that are bound to it.

Sources: https://kubernetes.io/docs/reference/access-authn-authz/rbac/ and
https://kubernetes.io/docs/concepts/security/service-accounts/
"""

from __future__ import annotations

import re
from typing import Any

from checker.model.spelling import nearest
from checker.model.state import Object, State
from checker.model.verdict import Failed, fail

# pods is forbidden: User "system:serviceaccount:learn:default" cannot list resource "pods" in API group "" in the namespace "learn"
_FORBIDDEN = re.compile(
    r'User \\?"system:serviceaccount:([^:"\\]+):([^"\\]+)\\?" cannot (\w+) resource \\?"([^"\\]+)\\?"[^:\n]*?(?:in the namespace \\?"([^"\\]+)|at the cluster scope)'
)
_NO_TOKEN = re.compile(r"/var/run/secrets/kubernetes\.io/serviceaccount/token[^\n]*no such file|No such file or directory: '/var/run/secrets/kubernetes\.io/serviceaccount", re.I)  # fmt: skip


def explain_forbidden(state: State, pod: Object, said: str) -> Failed | None:
    """Why the API server refuses what a container asks of it in its ServiceAccount's name, by the container's own words.

    The root may lie in a RoleBinding: one that gives a Role that does not exist, or names a ServiceAccount that does not.
    """
    found = _FORBIDDEN.search(said)
    if not found:
        return None
    home, account, verb, resource, where = found.groups()
    for binding in _bindings(state, where or home):
        subjects = _accounts(binding)
        if (account, home) in subjects or any(similar(account, home, other) for other in subjects):
            try:
                walk_binding(state, binding)
                _walk_subjects(state, binding)
            except Failed as root:
                root.namespace = binding.namespace
                return root
    place = f"in namespace {where}" if where else "in the whole cluster"
    given = sorted(b.name for b in _bindings(state, where or home) if (account, home) in _accounts(b))
    others = sorted({a for b in _bindings(state, where or home) for a, _ in _accounts(b)} - {account})
    hint = f" RoleBindings there for it: {', '.join(given) or 'none'}." if "RoleBinding" not in state.unlisted else ""
    hint += f" Others are bound there: {', '.join(others)}." if others and not given else ""
    scope = f"-n {where}" if where else "--all-namespaces"
    return Failed(
        "rbac-forbidden",
        f"Pod {pod.name} asks the API server as ServiceAccount {account}, which may not {verb} {resource} {place}.{hint}",
        expected=f"ServiceAccount {account} may {verb} {resource} {place}", observed=found[0][:300], object=pod.ref,
        look=f"kubectl auth can-i {verb} {resource} --as=system:serviceaccount:{home}:{account} {scope}",
    )  # fmt: skip


def explain_no_token(state: State, pod: Object, said: str) -> Failed | None:
    """A container that looks for the token of its ServiceAccount, in a Pod that is given none."""
    if not _NO_TOKEN.search(said):
        return None
    name = pod.spec.get("serviceAccountName", "default")
    account = None if "ServiceAccount" in state.unlisted else state.find("ServiceAccount", name, pod.namespace)
    by_pod = pod.spec.get("automountServiceAccountToken")
    where = f"Pod {pod.name}" if by_pod is False else f"ServiceAccount {name}"
    off = by_pod is False or (by_pod is None and account and account.raw.get("automountServiceAccountToken") is False)
    return Failed(
        "token-not-mounted",
        f"Pod {pod.name} looks for its ServiceAccount's token and is given none"
        + (f": {where} says automountServiceAccountToken: false." if off else "."),
        expected="a token in /var/run/secrets/kubernetes.io/serviceaccount", observed="no such file", object=pod.ref,
        look=f"kubectl get pod {pod.name} -o yaml",
    )  # fmt: skip


def walk_binding(state: State, binding: Object) -> None:
    """A RoleBinding: the Role that it gives exists. Raises Failed otherwise.

    A ClusterRole is not looked for: those are the cluster's, and a learner need not be allowed to list them.
    """
    role = binding.raw.get("roleRef") or {}
    if role.get("kind") == "Role" and not state.find("Role", role["name"], binding.namespace):
        known = [r.name for r in state.all("Role", binding.namespace)]
        near = nearest(role["name"], known)
        fail(
            "role-missing",
            f"RoleBinding {binding.name} gives Role {role['name']}, and there is no such Role in namespace {binding.namespace}."
            + (f" There is one called {near}." if near else ""),
            expected=f"Role {role['name']}", observed=f"Roles there: {', '.join(sorted(known)) or 'none'}", object=binding.ref,
            look=f"kubectl describe rolebinding {binding.name}",
        )  # fmt: skip


def _walk_subjects(state: State, binding: Object) -> None:
    """The ServiceAccounts that a RoleBinding names exist. Raises Failed otherwise.

    Only where somebody is refused: a binding may well be there before what it is for.
    """
    for name, namespace in _accounts(binding):
        if namespace == binding.namespace and not state.find("ServiceAccount", name, namespace) and name != "default":
            known = [a.name for a in state.all("ServiceAccount", namespace)]
            near = nearest(name, known)
            fail(
                "binding-subject-missing",
                f"RoleBinding {binding.name} gives its Role to ServiceAccount {name}, and there is none of that name in namespace {namespace}."
                + (f" There is one called {near}." if near else ""),
                expected=f"ServiceAccount {name}", observed=f"ServiceAccounts there: {', '.join(sorted(known)) or 'none'}",
                object=binding.ref, look=f"kubectl describe rolebinding {binding.name}",
            )  # fmt: skip


def similar(account: str, home: str, other: tuple[str, str]) -> bool:
    """Whether a binding's subject is nearly this ServiceAccount."""
    return other[1] == home and nearest(account, [other[0]]) is not None


def _bindings(state: State, namespace: str) -> list[Object]:
    return [b for b in state.objects.get("RoleBinding", []) if b.namespace == namespace]


def _accounts(binding: Object) -> list[tuple[str, str]]:
    """The ServiceAccounts that a RoleBinding names, as (name, namespace)."""
    subjects: list[dict[str, Any]] = binding.raw.get("subjects") or []
    return [(s["name"], s.get("namespace", binding.namespace)) for s in subjects if s.get("kind") == "ServiceAccount"]


def walk_refused_requests(state: State, pod: Object) -> None:
    """A container that runs, and says that the API server refuses what it asks."""
    for container in pod.containers:
        found = explain_forbidden(state, pod, state.logs.get(f"{pod.name}/{container['name']}", ""))
        if isinstance(found, Failed):
            raise found
