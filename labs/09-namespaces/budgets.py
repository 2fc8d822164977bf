"""A namespace has the ResourceQuota that the lab asks for, and its Pods count against it."""

from decimal import Decimal

from checker.sdk import (
    KINDS,
    Failed,
    Object,
    State,
    amount_words,
    fail,
    fail_if_wrong_unit,
    limit_of,
    limit_range_defaults,
    quantity,
    quantity_with_meaning,
)

BUDGET = {"cpu": "150m", "memory": "256Mi"}
WORDS = {"cpu": "CPU", "memory": "memory"}
COUNTS_ALL = {"NotBestEffort"}  # scopes of a quota that leave out no Pod that requests anything
DEADLINE, NO_DEADLINE = "Terminating", "NotTerminating"  # scopes: Pods with an activeDeadlineSeconds, and without


def require_namespace(state: State, namespace: str) -> None:
    if not state.find("Namespace", namespace):
        try:
            state.require("Deployment", "guestbook", namespace)  # says that the namespace is missing
        except Failed as fault:
            fault.object, fault.expected = f"Namespace/{namespace}", f"a namespace {namespace}"
            raise


def fail_if_elsewhere(state: State, kind: str, namespace: str) -> None:
    """An object that is in no team's namespace was meant for this one."""
    teams = {f"{state.namespace}-{team}" for team in ("blue", "green")}
    free = [o for o in state.everywhere(kind) if o.namespace not in teams]
    if free:
        astray = free[0]
        fail(
            "wrong-namespace",
            f"{kind} {astray.name} is in namespace {astray.namespace}. It acts on the Pods of that namespace, and not on those of {namespace}.",
            expected=f"a {kind} in namespace {namespace}", observed=f"in namespace {astray.namespace}", object=astray.ref,
            look=f"kubectl get {KINDS[kind].plural} --all-namespaces",
        )  # fmt: skip


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
            scopes = " and ".join(scopes_of(scoped[0]))
            fail(
                "quota-does-not-bind",
                f"ResourceQuota {scoped[0].name} of namespace {namespace} counts only Pods of its scope {scopes}: nothing limits how much {WORDS[resource]} other Pods request.",
                expected="a quota that counts all Pods", observed=f"scope {scopes}", object=scoped[0].ref,
                look=f"kubectl describe resourcequota {scoped[0].name} -n {namespace}",
            )  # fmt: skip
        names = ", ".join(sorted({name for quota in quotas for name in quota.spec.get("hard") or {}})) or "nothing"
        if not found:
            fail(
                "quota-does-not-bind",
                f"No ResourceQuota of namespace {namespace} limits how much {WORDS[resource]} its Pods request together: what is counted there is {names}.",
                expected=f"at most {most} of {WORDS[resource]} requested in all", observed=names, object=quotas[0].ref,
                look=f"kubectl describe resourcequota -n {namespace}",
            )  # fmt: skip
        tightest = min(found, key=allowed)
        for quota, name, text in tightest:
            if quantity(text) >= 100 * quantity(most) or resource == "memory":
                fail_if_wrong_unit(resource, text, quota, form="budget", field=name, most=most)
        if allowed(tightest) > quantity(most):
            quota, name, text = tightest[0]
            shared = len(tightest) > 1
            fail(
                "quota-too-large",
                f"In namespace {namespace}, {in_words(tightest, resource)} of {WORDS[resource]} to be requested." if shared
                else f"ResourceQuota {quota.name} of namespace {namespace} allows {name} up to {quantity_with_meaning(resource, text)}.",
                expected=f"at most {most}", observed=amount_words(resource, allowed(tightest)) if shared else text, object=quota.ref,
                look=f"kubectl describe resourcequota {'' if shared else f'{quota.name} '}-n {namespace}",
            )  # fmt: skip


def hard(quota: Object, resource: str) -> list[tuple[str, str]]:
    """The limits of a quota for what is requested of a resource. `cpu` and `requests.cpu` are two names of the same; and as no
    request may be above its limit, where limits are counted requests are bound as well."""
    limits = quota.spec.get("hard") or {}
    names = (f"requests.{resource}", resource, f"limits.{resource}")
    return [(name, str(limits[name])) for name in names if name in limits]


def scopes_of(quota: Object) -> list[str]:
    """The scopes of a quota: it counts only the Pods that are in all of them."""
    expressions = (quota.spec.get("scopeSelector") or {}).get("matchExpressions") or []
    return [*(quota.spec.get("scopes") or []), *(expression["scopeName"] for expression in expressions)]


Part = tuple[Object, str, str]  # a quota, the name of one of its limits, and what that is


def bounds(state: State, namespace: str, resource: str) -> list[list[Part]]:
    """What limits how much of a resource all Pods request together: a quota that no Pod escapes, or two that share all Pods
    between them, those with a deadline and those without."""
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


def in_words(bound: list[Part], resource: str) -> str:
    """Which quotas allow how much."""
    if len(bound) == 1:
        return f"ResourceQuota {bound[0][0].name} allows {bound[0][2]}"
    return f"ResourceQuotas {' and '.join(quota.name for quota, _, _ in bound)} together allow {amount_words(resource, allowed(bound))}"


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
            quota, text = tightest[0][0], in_words(tightest, resource)
            younger = quota.created >= min(pod.created for pod in pods)
            it = "It was made after the first of them, and takes" if younger else "It takes"
            fail(
                "quota-came-later",
                f"The Pods of namespace {namespace} request {amount_words(resource, used)} of {WORDS[resource]} together, and {text}. "
                f"{'They take' if len(tightest) > 1 else it} no Pod away.",
                expected=f"at most {text.rpartition(' ')[2]}", observed=amount_words(resource, used), object=quota.ref,
                look=f"kubectl describe resourcequota {quota.name} -n {namespace}",
                pending=any(pod.is_terminating for pod in pods),
            )  # fmt: skip


def require_numbers(state: State, deployment: Object) -> None:
    """The next Pod will say what the quotas count: those that are there may be older than the quotas."""
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
            said = [
                limit_of(o, resource, kind) for o in (container, pod_spec) for kind in (which or "requests", "limits")
            ]
            if not any(said) and not limit_range_defaults(state, namespace, name):
                fail(
                    "quota-needs-requests",
                    f"Container {container['name']} of Deployment {deployment.name} in namespace {namespace} does not say its {name}, which ResourceQuota "
                    f"{quota.name} counts, and no LimitRange gives it one. Its Pods were made before this was so; the next one will be refused.",
                    expected=f"a value for {name}", observed="none", object=deployment.ref,
                    look=f"kubectl describe deployment {deployment.name} -n {namespace}",
                )  # fmt: skip


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
                f"ResourceQuota {quota.name} has not counted the Pods of Deployment {deployment.name}: they request {amount_words(resource, needed)} of {WORDS[resource]}, and it "
                f"has {amount_words(resource, used)} in use.",
                expected="the Pods' requests in use", observed=f"{amount_words(resource, used)} in use", object=quota.ref,
                look=f"kubectl describe resourcequota {quota.name} -n {namespace}", pending=True,
            )  # fmt: skip
