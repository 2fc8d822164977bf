"""Judging lab 09: what a namespace's quota and defaults did to the Pods in it, and what the kernel did to two programs."""

from decimal import Decimal

from checker import Object, State, fail, task
from checker.judge.cgroup import CpuAccount, CpuStatInside
from checker.judge.chains.resources import amount, fail_if_slip, gives_defaults, limit_of, with_meaning
from checker.judge.names import counted
from checker.judge.quantity import quantity
from checker.judge.verdict import Failed

BUDGET = {"cpu": "150m", "memory": "256Mi"}
MOST_MEMORY, MOST_CPU = "128Mi", "200m"
# The lines of the two programs in which they take what they take.
TAKES_MEMORY, TAKES_CPU = "60 * 1024 * 1024", "time.thread_time() + 0.05"
CPU_OF_BUSY = CpuStatInside("busy")
OFTEN = 10  # times that a container is made to wait before it counts as slowed down: the start alone brings a few
STARTING = 20  # seconds in which it may not have come to that yet


# -- budgets ---------------------------------------------------------------------------------------------------------


@task("budget")
def blue_keeps_to_its_budget(state: State) -> None:
    namespace = f"{state.namespace}-blue"
    require_namespace(state, namespace)
    require_budget(state, namespace)
    deployment = state.require("Deployment", "guestbook", namespace)
    fail_if_over_budget(state, namespace)
    state.require_working(deployment)
    state.require_image(deployment, "guestbook:v1")
    require_replicas(state, deployment, 2)
    require_counted(state, deployment)


@task("defaults")
def green_has_defaults(state: State) -> None:
    namespace = f"{state.namespace}-green"
    require_namespace(state, namespace)
    require_budget(state, namespace)
    deployment = state.require("Deployment", "guestbook", namespace)
    require_no_numbers(deployment)
    if not state.all("LimitRange", namespace):
        fail_if_elsewhere(state, "LimitRange", namespace)
    fail_if_over_budget(state, namespace)
    state.require_working(deployment)
    state.require_image(deployment, "guestbook:v1")
    require_defaults(state, deployment)
    require_counted(state, deployment)
    require_memory_maximum(state, namespace)


def require_namespace(state: State, namespace: str) -> None:
    if not state.find("Namespace", namespace):
        try:
            state.require("Deployment", "guestbook", namespace)  # says that the namespace is missing
        except Failed as fault:
            fault.object = f"Namespace/{namespace}"
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
            look=f"kubectl get {kind.lower()}s --all-namespaces",
        )  # fmt: skip


def require_budget(state: State, namespace: str) -> None:
    """The namespace has a quota for what all Pods request, and it is no larger than the budget."""
    quotas = [quota for quota in state.all("ResourceQuota", namespace) if not quota.is_terminating]
    if not quotas:
        fail_if_elsewhere(state, "ResourceQuota", namespace)
    state.require_some("ResourceQuota", "", quotas, namespace)
    for resource, most in BUDGET.items():
        found = [(quantity(text), quota, name, text) for quota in quotas for name, text in hard(quota, resource)]
        names = ", ".join(sorted({name for quota in quotas for name in quota.spec.get("hard") or {}})) or "nothing"
        if not found:
            fail(
                "quota-does-not-bind",
                f"No ResourceQuota of namespace {namespace} limits how much {resource} its Pods request together: what there is limits {names}.",
                expected=f"requests.{resource} limited to {most}", observed=names, object=quotas[0].ref,
                look=f"kubectl describe resourcequota -n {namespace}",
            )  # fmt: skip
        smallest, quota, name, text = min(found, key=lambda entry: entry[0])
        evidence = {"object": quota.ref, "look": f"kubectl describe resourcequota {quota.name} -n {namespace}"}
        if smallest >= 100 * quantity(most) or resource == "memory":
            where = f"{name} in ResourceQuota {quota.name} of namespace {namespace}"
            fail_if_slip(resource, text, where, expected=f"at most {most}", **evidence)
        if smallest > quantity(most):
            fail(
                "quota-too-large",
                f"ResourceQuota {quota.name} of namespace {namespace} allows {name} up to {with_meaning(resource, text)}.",
                expected=f"at most {most}", observed=text, **evidence,
            )  # fmt: skip


def hard(quota: Object, resource: str) -> list[tuple[str, str]]:
    """The limits of a quota for what is requested of a resource. `cpu` and `requests.cpu` are two names of the same."""
    limits = quota.spec.get("hard") or {}
    return [(name, str(limits[name])) for name in (f"requests.{resource}", resource) if name in limits]


def living_pods(state: State, namespace: str) -> list[Object]:
    """The Pods that a quota counts: all that have not ended."""
    return [pod for pod in state.all("Pod", namespace) if pod.status.get("phase") not in ("Succeeded", "Failed")]


def fail_if_over_budget(state: State, namespace: str) -> None:
    """Pods that were there before the quota are not touched by it: then more is in use than it allows."""
    pods = living_pods(state, namespace)
    for resource in BUDGET:
        allowed = [
            (quantity(text), quota, text)
            for quota in state.all("ResourceQuota", namespace)
            for _, text in hard(quota, resource)
        ]
        used = sum((pod.requested(resource) for pod in pods), Decimal(0))
        smallest, quota, text = min(allowed, key=lambda entry: entry[0])
        if used > smallest:
            younger = quota.created >= min(pod.created for pod in pods)
            fail(
                "quota-came-later",
                f"The Pods of namespace {namespace} request {amount(resource, used)} of {resource} together, and ResourceQuota {quota.name} allows {text}. "
                + ("It was made after the first of them, and" if younger else "It") + " takes no Pod away.",
                expected=f"at most {text}", observed=amount(resource, used), object=quota.ref,
                look=f"kubectl describe resourcequota {quota.name} -n {namespace}",
                pending=any(pod.is_terminating for pod in pods),
            )  # fmt: skip


def require_counted(state: State, deployment: Object) -> None:
    """A quota counts the Deployment's Pods, which one with scopes may not do: what it has in use shows it."""
    namespace = deployment.namespace
    for resource, most in BUDGET.items():
        needed = sum((pod.requested(resource) for pod in state.pods_of(deployment)), Decimal(0))
        seen = [
            (quantity((quota.status.get("used") or {}).get(name, 0)), quota)
            for quota in state.all("ResourceQuota", namespace)
            for name, text in hard(quota, resource)
            if quantity(text) <= quantity(most)
        ]
        used, quota = max(seen, key=lambda entry: entry[0])
        if used < needed:
            scopes = [
                *(quota.spec.get("scopes") or []),
                *((quota.spec.get("scopeSelector") or {}).get("matchExpressions") or []),
            ]
            fail(
                "quota-does-not-bind",
                f"ResourceQuota {quota.name} does not count the Pods of Deployment {deployment.name}: they request {amount(resource, needed)} of {resource}, and it "
                f"has {amount(resource, used)} in use" + (", for it has a scope that they are not in." if scopes else "."),
                expected="the Pods' requests in use", observed=f"{amount(resource, used)} in use", object=quota.ref,
                look=f"kubectl describe resourcequota {quota.name} -n {namespace}", pending=not scopes,
            )  # fmt: skip


def require_replicas(state: State, deployment: Object, wanted: int) -> None:
    ready = state.ready_pods(deployment)
    if len(ready) < wanted:
        fail(
            "too-few-replicas", f"Deployment {deployment.name} of namespace {deployment.namespace} has {counted(len(ready), 'ready Pod')}.",
            expected=f"at least {wanted}", observed=str(len(ready)), object=deployment.ref,
            look=f"kubectl get pods -n {deployment.namespace}",
        )  # fmt: skip


# -- defaults --------------------------------------------------------------------------------------------------------


def require_no_numbers(deployment: Object) -> None:
    pod_spec = (deployment.spec.get("template") or {}).get("spec") or {}
    holders = {f"container {container['name']}": container for container in deployment.containers} | {
        "the Pod": pod_spec
    }
    for holder, spec in holders.items():
        named = [which for which in ("requests", "limits") if (spec.get("resources") or {}).get(which)]
        if named:
            fail(
                "defaults-not-used", f"The manifest of Deployment {deployment.name} in namespace {deployment.namespace} names {' and '.join(named)} itself.",
                expected="a template without resources", observed=f"{' and '.join(named)} of {holder}", object=deployment.ref,
                look=f"kubectl get deployment {deployment.name} -n {deployment.namespace} -o yaml",
            )  # fmt: skip


def require_defaults(state: State, deployment: Object) -> None:
    """The Pods have what their template does not name: a LimitRange gave it to them."""
    namespace = deployment.namespace
    wanted = {"requests.cpu": "a CPU request", "requests.memory": "a memory request", "limits.memory": "a memory limit"}
    for pod in state.pods_of(deployment):
        for container in pod.containers:
            missing = {
                name for name in wanted if limit_of(container, name.partition(".")[2], name.partition(".")[0]) is None
            }
            if not missing:
                continue
            words = " and ".join(wanted[name] for name in wanted if name in missing)
            late = gives_defaults(state, namespace, missing)
            fail(
                "defaults-came-later" if late else "defaults-missing",
                f"Container {container['name']} of Pod {pod.name} in namespace {namespace} was not given {words}"
                + (": the Pod was made before a LimitRange gave that." if late else ", and no LimitRange there gives that."),
                expected=", ".join(wanted.values()), observed=f"without {words}", object=pod.ref,
                look=f"kubectl describe limitrange -n {namespace}",
            )  # fmt: skip


def require_memory_maximum(state: State, namespace: str) -> None:
    found = [
        (quantity(item["max"]["memory"]), limit_range, str(item["max"]["memory"]))
        for limit_range in state.all("LimitRange", namespace)
        for item in limit_range.spec.get("limits") or []
        if item.get("type") in ("Container", "Pod") and "memory" in (item.get("max") or {})
    ]
    look = f"kubectl describe limitrange -n {namespace}"
    if not found:
        fail(
            "limit-range-without-max", f"In namespace {namespace} a container that names a memory limit itself may name any.",
            expected=f"no container above {MOST_MEMORY}", observed="no maximum", object="LimitRange", look=look,
        )  # fmt: skip
    smallest, limit_range, text = min(found, key=lambda entry: entry[0])
    if smallest > quantity(MOST_MEMORY):
        fail(
            "limit-range-without-max", f"LimitRange {limit_range.name} of namespace {namespace} allows a container more memory, {with_meaning('memory', text)}.",
            expected=f"at most {MOST_MEMORY}", observed=text, object=limit_range.ref, look=look,
        )  # fmt: skip


# -- limits ----------------------------------------------------------------------------------------------------------


def require_program(deployment: Object, line: str) -> None:
    written = [
        word
        for container in deployment.containers
        for word in [*(container.get("command") or []), *(container.get("args") or [])]
    ]
    if not any(line in word for word in written):
        fail(
            "program-changed", f"The Pods of Deployment {deployment.name} run another program than the one that the lab began with.",
            expected=f"the program with the line {line!r}", observed=" ".join(written)[:80] or "the image's own command", object=deployment.ref,
            look=f"kubectl get deployment {deployment.name} -o yaml",
        )  # fmt: skip


def require_limit(state: State, deployment: Object, resource: str, most: str) -> None:
    """Every container of the Deployment's newest Pods has a limit, and none is above `most`."""
    newest = [pod.containers for pod in state.pods_of(deployment)] or [deployment.containers]
    for container in newest[0]:
        limit = limit_of(container, resource)
        where, words = (
            f"Container {container['name']} of Deployment {deployment.name}",
            {"cpu": "CPU"}.get(resource, resource),
        )
        evidence = {"object": deployment.ref, "look": f"kubectl describe deployment {deployment.name}"}
        others = (container.get("resources") or {}).get("limits") or {}
        if limit is None or quantity(limit) == 0:  # 0 is the kernel's word for no limit
            request = limit_of(container, resource, "requests")
            fail(
                "memory-limit-missing" if resource == "memory" else "cpu-limit-missing",
                f"{where} has no {words} limit" + (f", only a request of {request}." if request else "."),
                expected=f"a {words} limit of at most {most}",
                observed="limits: " + (", ".join(f"{name} {value}" for name, value in sorted(others.items())) or "none"), **evidence,
            )  # fmt: skip
        if quantity(limit) > quantity(most):
            fail_if_slip(
                resource,
                limit,
                f"The {words} limit of container {container['name']} of Deployment {deployment.name}",
                **evidence,
            )
            fail("limit-too-large", f"{where} has a {words} limit of {with_meaning(resource, limit)}.",
                 expected=f"at most {most}", observed=limit, **evidence)  # fmt: skip


@task("killed")
def report_has_the_memory_that_it_needs(state: State) -> None:
    deployment = state.require("Deployment", "report")
    require_program(deployment, TAKES_MEMORY)
    state.require_working(deployment)
    require_limit(state, deployment, "memory", MOST_MEMORY)


@task("throttled", observe=CPU_OF_BUSY)
def busy_is_slowed_down(state: State, account: CpuAccount) -> None:
    deployment = state.require("Deployment", "busy")
    require_program(deployment, TAKES_CPU)
    state.require_working(deployment)
    require_limit(state, deployment, "cpu", MOST_CPU)
    newest = state.pods_of(deployment)
    stat = account.of([pod.name for pod in newest])
    if stat.throttled < OFTEN:
        fail(
            "not-throttled", f"Container busy of Pod {stat.pod} was made to wait {counted(stat.throttled, 'time')} so far, in {stat.periods} tenths of a second.",
            expected=f"at least {OFTEN} times", observed=f"{stat.throttled} times", object=f"Pod/{stat.pod}",
            look=f"kubectl exec {stat.pod} -- cat /sys/fs/cgroup/cpu.stat", pending=state.changed_within(STARTING, *newest),
        )  # fmt: skip
