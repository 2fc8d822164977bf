"""A namespace has the ResourceQuota that the lab asks for, and its Pods count against it."""

from decimal import Decimal

from checker.sdk import (
    KINDS,
    Failed,
    Object,
    Ref,
    State,
    fail,
    fail_if_wrong_unit,
    limit_of,
    limit_range_defaults,
    quantity,
    quantity_text,
    usual_unit,
)

BUDGET = {"cpu": "150m", "memory": "256Mi"}
COUNTS_ALL = {"NotBestEffort"}  # scopes of a quota that leave out no Pod that requests anything
DEADLINE, NO_DEADLINE = "Terminating", "NotTerminating"  # scopes: Pods with an activeDeadlineSeconds, and without


def require_namespace(state: State, namespace: str) -> None:
    if not state.find("Namespace", namespace):
        try:
            state.require("Deployment", "guestbook", namespace)  # says that the namespace is missing
        except Failed as end:
            raise Failed(end.fault.but(object=Ref("Namespace", namespace), form="")) from None


def fail_if_elsewhere(state: State, kind: str, namespace: str) -> None:
    """Raise Failed for an object outside the namespaces of both teams: it was meant for this one."""
    teams = {f"{state.namespace}-{team}" for team in ("blue", "green")}
    free = [o for o in state.everywhere(kind) if o.namespace not in teams]
    if free:
        fail("wrong-namespace", free[0], form="other-pods", wanted=namespace, plural=KINDS[kind].plural)


def require_budget(state: State, namespace: str) -> None:
    """The namespace has a quota for what all Pods request, and it is no larger than the budget."""
    quotas = [quota for quota in state.all("ResourceQuota", namespace) if not quota.is_terminating]
    if not quotas:
        fail_if_elsewhere(state, "ResourceQuota", namespace)
    state.require_some("ResourceQuota", "", quotas, namespace)
    for resource, most in BUDGET.items():
        found = bounds(state, namespace, resource)
        scoped = [quota for quota in quotas if hard(quota, resource)]
        if scoped and not found:
            fail("quota-does-not-bind", scoped[0], form="scope", resource=resource, scopes=scopes_of(scoped[0]))
        if not found:
            fields = sorted({name for quota in quotas for name in quota.spec.get("hard") or {}})
            fail("quota-does-not-bind", quotas[0], resource=resource, most=most, fields=fields)
        tightest = min(found, key=allowed)
        for quota, name, text in tightest:
            if quantity(text) >= 100 * quantity(most) or resource == "memory":
                fail_if_wrong_unit(resource, text, quota, form="budget", field=name, most=most)
        if allowed(tightest) > quantity(most):
            quota, name, text = tightest[0]
            if len(tightest) > 1:
                together = quantity_text(resource, allowed(tightest))
                names = [one.name for one, _, _ in tightest]
                fail(
                    "quota-too-large", quota, form="shared", resource=resource, quotas=names, value=together, most=most
                )
            usual = usual_unit(resource, text)
            fail("quota-too-large", quota, field=name, value=text, usual=usual, most=most)


def hard(quota: Object, resource: str) -> list[tuple[str, str]]:
    """The limits of a quota for what is requested of a resource.

    `cpu` and `requests.cpu` are two names of the same. A quota for limits bounds requests as well, as no request may be
    above its limit.
    """
    limits = quota.spec.get("hard") or {}
    names = (f"requests.{resource}", resource, f"limits.{resource}")
    return [(name, str(limits[name])) for name in names if name in limits]


def scopes_of(quota: Object) -> list[str]:
    """The scopes of a quota: it counts only the Pods that are in all of them."""
    expressions = (quota.spec.get("scopeSelector") or {}).get("matchExpressions") or []
    return [*(quota.spec.get("scopes") or []), *(expression["scopeName"] for expression in expressions)]


Part = tuple[Object, str, str]  # a quota, the name of one of its limits, and what that is


def bounds(state: State, namespace: str, resource: str) -> list[list[Part]]:
    """What limits how much of a resource all Pods request together.

    This is a quota that counts all Pods, or two quotas: one counts the Pods with a deadline, one the others.
    """
    parts: dict[frozenset[str], list[Part]] = {}
    for quota in state.all("ResourceQuota", namespace):
        if not quota.is_terminating:
            counts = frozenset(scopes_of(quota)) - COUNTS_ALL
            parts.setdefault(counts, []).extend((quota, name, text) for name, text in hard(quota, resource))
    long, short = (parts.get(frozenset({scope}), []) for scope in (NO_DEADLINE, DEADLINE))
    return [[part] for part in parts.get(frozenset(), [])] + [[one, other] for one in long for other in short]


def allowed(bound: list[Part]) -> Decimal:
    """How much a bound allows to be requested in all."""
    return sum((quantity(text) for _, _, text in bound), Decimal(0))


def counting_quotas(state: State, namespace: str) -> list[Object]:
    """The quotas of a namespace that count a Deployment's Pods, which have no deadline."""
    return [
        quota
        for quota in state.all("ResourceQuota", namespace)
        if not quota.is_terminating and set(scopes_of(quota)) <= COUNTS_ALL | {NO_DEADLINE}
    ]


def living_pods(state: State, namespace: str) -> list[Object]:
    """The Pods that a quota counts: all that have not ended."""
    return [pod for pod in state.all("Pod", namespace) if pod.status.get("phase") not in ("Succeeded", "Failed")]


def fail_if_over_budget(state: State, namespace: str) -> None:
    """Pods that were there before the quota are not touched by it: then more is in use than it allows."""
    pods = living_pods(state, namespace)
    for resource in BUDGET:
        tightest = min(bounds(state, namespace, resource), key=allowed)
        used = sum((pod.requested(resource) for pod in pods), Decimal(0))
        if used > allowed(tightest):
            quota, _, text = tightest[0]
            younger = quota.created >= min(pod.created for pod in pods)
            shared = len(tightest) > 1
            fail(
                "quota-came-later",
                quota,
                form="shared" if shared else "" if younger else "older",
                quotas=[one.name for one, _, _ in tightest],
                resource=resource,
                used=quantity_text(resource, used),
                allowed=quantity_text(resource, allowed(tightest)) if shared else text,
                in_progress=any(pod.is_terminating for pod in pods),
            )


def require_numbers(state: State, deployment: Object) -> None:
    """The next Pod sets what the quotas count: existing Pods may be older than the quotas."""
    namespace = deployment.namespace
    pod_spec = (deployment.spec.get("template") or {}).get("spec") or {}
    named = [*(pod_spec.get("initContainers") or []), *deployment.containers, pod_spec]
    asks = any(limit_of(one, r, kind) for one in named for r in BUDGET for kind in ("requests", "limits"))
    asks = asks or any(
        limit_range_defaults(state, namespace, f"{kind}.{r}") for r in BUDGET for kind in ("requests", "limits")
    )
    wanted = [
        (quota, name)
        for quota in counting_quotas(state, namespace)
        if asks or not set(scopes_of(quota)) & COUNTS_ALL  # a Pod that asks for nothing is not in this scope
        for r in BUDGET
        for name, _ in hard(quota, r)
    ]
    for quota, name in wanted:
        which, _, resource = name.rpartition(".")
        for container in [*(pod_spec.get("initContainers") or []), *deployment.containers]:
            # A request that is not named is as large as the limit.
            amounts = [
                limit_of(o, resource, kind) for o in (container, pod_spec) for kind in (which or "requests", "limits")
            ]
            if not any(amounts) and not limit_range_defaults(state, namespace, name):
                fail(
                    "quota-needs-requests",
                    deployment,
                    form="template",
                    container=container["name"],
                    field=name,
                    quota=quota.name,
                )


def require_counted(state: State, deployment: Object) -> None:
    """The quotas have counted the Deployment's Pods."""
    namespace = deployment.namespace
    for resource, most in BUDGET.items():
        needed = sum((pod.requested(resource) for pod in state.pods_of(deployment)), Decimal(0))
        seen = [
            (quantity((quota.status.get("used") or {}).get(name, 0)), quota)
            for quota in counting_quotas(state, namespace)
            for name, text in hard(quota, resource)
            if quantity(text) <= quantity(most)
        ]
        used, quota = max(seen, key=lambda entry: entry[0])
        if used < needed:
            fail(
                "quota-not-counted-yet",
                quota,
                form="deployment",
                deployment=deployment.name,
                resource=resource,
                needed=quantity_text(resource, needed),
                used=quantity_text(resource, used),
                in_progress=True,
            )
