"""Judging lab 09: what a namespace's quota and defaults did to the Pods in it, and what the kernel did to two programs."""

from decimal import Decimal
from typing import Any

from checker import Object, State, fail, task
from checker.diagnosis.resources import amount, defaults_of, fail_if_slip, gives_defaults, limit_of, with_meaning
from checker.grading.cgroup import CpuAccount, CpuStatInside
from checker.model.kinds import KINDS
from checker.model.quantity import quantity
from checker.model.spelling import counted
from checker.model.verdict import Failed

BUDGET = {"cpu": "150m", "memory": "256Mi"}
WORDS = {"cpu": "CPU", "memory": "memory"}
MOST_MEMORY, MOST_CPU = "128Mi", "200m"
# What the two programs of setup/ are.
PROGRAMS = {
    "report": """python3
-uc
import http.server
print("collecting 60 MiB of numbers", flush=True)
numbers = b"7" * (60 * 1024 * 1024)
print("all in memory", flush=True)
http.server.HTTPServer(("", 8080), http.server.SimpleHTTPRequestHandler).serve_forever()""",
    "busy": """python3
-uc
import time
while True:
    begin, enough = time.monotonic(), time.thread_time() + 0.05
    while time.thread_time() < enough:
        sum(range(1000))
    print(f"0.05 s of work took {time.monotonic() - begin:.2f} s", flush=True)
    time.sleep(0.45)""",
}
COUNTS_ALL = {"NotBestEffort"}  # scopes of a quota that leave out no Pod that requests anything
DEADLINE, NO_DEADLINE = "Terminating", "NotTerminating"  # scopes: Pods with an activeDeadlineSeconds, and without
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
    require_numbers(state, deployment)
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
    require_numbers(state, deployment)
    require_counted(state, deployment)
    require_memory_maximum(state, namespace)
    require_memory_within(state, deployment)


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
                fail_if_slip(resource, text, quota, form="budget", field=name, most=most)
        if allowed(tightest) > quantity(most):
            quota, name, text = tightest[0]
            shared = len(tightest) > 1
            fail(
                "quota-too-large",
                f"In namespace {namespace}, {in_words(tightest, resource)} of {WORDS[resource]} to be requested." if shared
                else f"ResourceQuota {quota.name} of namespace {namespace} allows {name} up to {with_meaning(resource, text)}.",
                expected=f"at most {most}", observed=amount(resource, allowed(tightest)) if shared else text, object=quota.ref,
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
    return f"ResourceQuotas {' and '.join(quota.name for quota, _, _ in bound)} together allow {amount(resource, allowed(bound))}"


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
                f"The Pods of namespace {namespace} request {amount(resource, used)} of {WORDS[resource]} together, and {text}. "
                f"{'They take' if len(tightest) > 1 else it} no Pod away.",
                expected=f"at most {text.rpartition(' ')[2]}", observed=amount(resource, used), object=quota.ref,
                look=f"kubectl describe resourcequota {quota.name} -n {namespace}",
                pending=any(pod.is_terminating for pod in pods),
            )  # fmt: skip


def require_numbers(state: State, deployment: Object) -> None:
    """The next Pod will say what the quotas count: those that are there may be older than the quotas."""
    namespace = deployment.namespace
    pod_spec = (deployment.spec.get("template") or {}).get("spec") or {}
    named = [*(pod_spec.get("initContainers") or []), *deployment.containers, pod_spec]
    asks = any(limit_of(one, r, kind) for one in named for r in BUDGET for kind in ("requests", "limits"))
    asks = asks or any(defaults_of(state, namespace, f"{kind}.{r}") for r in BUDGET for kind in ("requests", "limits"))
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
            if not any(said) and not defaults_of(state, namespace, name):
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
                f"ResourceQuota {quota.name} has not counted the Pods of Deployment {deployment.name}: they request {amount(resource, needed)} of {WORDS[resource]}, and it "
                f"has {amount(resource, used)} in use.",
                expected="the Pods' requests in use", observed=f"{amount(resource, used)} in use", object=quota.ref,
                look=f"kubectl describe resourcequota {quota.name} -n {namespace}", pending=True,
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
    containers = [*(pod_spec.get("initContainers") or []), *deployment.containers]
    holders = {f"container {container['name']}": container for container in containers} | {"the Pod": pod_spec}
    for holder, spec in holders.items():
        named = [which for which in ("requests", "limits") if (spec.get("resources") or {}).get(which)]
        if named:
            fail(
                "defaults-not-used", f"The manifest of Deployment {deployment.name} in namespace {deployment.namespace} names {' and '.join(named)} itself.",
                expected="a template without resources", observed=f"{' and '.join(named)} of {holder}", object=deployment.ref,
                look=f"kubectl get deployment {deployment.name} -n {deployment.namespace} -o yaml",
            )  # fmt: skip


def require_defaults(state: State, deployment: Object) -> None:
    """The Pods have what their template does not name: a LimitRange gave it to them, and gives it still."""
    namespace = deployment.namespace
    wanted = {"requests.cpu": "a CPU request", "requests.memory": "a memory request", "limits.memory": "a memory limit"}
    for pod in state.pods_of(deployment):
        for container in pod.containers:
            values = {name: limit_of(container, name.partition(".")[2], name.partition(".")[0]) for name in wanted}
            missing = {name for name, value in values.items() if value is None}
            if not missing:
                require_still_given(state, pod, container["name"], values)
                continue
            words = " or ".join(wanted[name] for name in wanted if name in missing)
            late = gives_defaults(state, namespace, missing)
            fail(
                "defaults-came-later" if late else "defaults-missing",
                f"Container {container['name']} of Pod {pod.name} in namespace {namespace} was not given {words}"
                + (": the Pod was made before a LimitRange gave that." if late else ", and no LimitRange there gives that."),
                expected=", ".join(wanted.values()), observed=f"without {words}", object=pod.ref,
                look=f"kubectl get pods,limitranges -n {namespace}" if late else f"kubectl describe limitrange -n {namespace}",
            )  # fmt: skip


def require_still_given(state: State, pod: Object, name: str, values: dict[str, str | None]) -> None:
    """A LimitRange may have been changed, or have gone, since a Pod was made."""
    for which, value in values.items():
        if not defaults_of(state, pod.namespace, which):
            fail(
                "defaults-missing",
                f"Container {name} of Pod {pod.name} in namespace {pod.namespace} has {which} {value}, and no LimitRange there gives that to a Pod that is made now.",
                expected=f"a LimitRange that gives {which}", observed="none", object=pod.ref,
                look=f"kubectl describe limitrange -n {pod.namespace}",
            )  # fmt: skip


def require_memory_maximum(state: State, namespace: str) -> None:
    found = [
        (quantity(item["max"]["memory"]), limit_range, str(item["max"]["memory"]))
        for limit_range in state.all("LimitRange", namespace)
        for item in limit_range.spec.get("limits") or []
        if item.get("type") in ("Container", "Pod") and "memory" in (item.get("max") or {})
    ]
    look = f"kubectl describe limitrange -n {namespace}"
    there = state.all("LimitRange", namespace)
    if not found:
        fail(
            "limit-range-without-max", f"In namespace {namespace} a container that names a memory limit itself may name any.",
            expected=f"no container above {MOST_MEMORY}", observed="no maximum", object=there[0].ref if there else "LimitRange", look=look,
        )  # fmt: skip
    smallest, limit_range, text = min(found, key=lambda entry: entry[0])
    if smallest > quantity(MOST_MEMORY):
        fail(
            "limit-range-without-max", f"LimitRange {limit_range.name} of namespace {namespace} allows a container a memory limit up to {with_meaning('memory', text)}.",
            expected=f"at most {MOST_MEMORY}", observed=text, object=limit_range.ref, look=look,
        )  # fmt: skip


def require_memory_within(state: State, deployment: Object) -> None:
    """A maximum does not change the Pods that are older."""
    for pod in state.pods_of(deployment):
        for container in pod.containers:
            limit = limit_of(container, "memory") or "0"
            if quantity(limit) > quantity(MOST_MEMORY):
                fail(
                    "defaults-came-later",
                    f"Container {container['name']} of Pod {pod.name} in namespace {pod.namespace} has a memory limit of {with_meaning('memory', limit)}: the Pod "
                    "is older than the namespace's maximum.",
                    expected=f"at most {MOST_MEMORY}", observed=limit, object=pod.ref, look=f"kubectl describe pod {pod.name} -n {pod.namespace}",
                )  # fmt: skip


# -- limits ----------------------------------------------------------------------------------------------------------


def require_program(deployment: Object) -> None:
    program = PROGRAMS[deployment.name].splitlines()
    written = [
        [line.rstrip() for word in words for line in word.splitlines() if line.strip()]
        for container in deployment.containers
        for words in [[*(container.get("command") or []), *(container.get("args") or [])]]
    ]
    if program not in written:
        lines = max(written, key=len)
        others = " ".join(line.strip() for line in lines if line not in program)[:80]
        fail(
            "program-changed", f"The Pods of Deployment {deployment.name} run another program than the one that the lab began with.",
            expected="the program that the lab began with",
            observed=others or ("its lines, and not all of them in their places" if lines else "the image's own command"), object=deployment.ref,
            look=f"kubectl get deployment {deployment.name} -o yaml",
        )  # fmt: skip


def require_limit(state: State, deployment: Object, resource: str, most: str) -> None:
    """Every container of the Deployment's Pods has a limit, and none is above `most`; nor would the next Pod's: what was done
    to a Pod alone (a resize) goes with it."""
    name, words = deployment.name, WORDS[resource]

    def bounds(container: dict[str, Any], spec: dict[str, Any]) -> Any:
        """A container's own limit; of memory also what its Pod may use: the kernel kills for either."""
        return limit_of(container, resource) or (limit_of(spec, resource) if resource == "memory" else None)

    held = [
        (f"Deployment {name}", container, bounds(container, pod.spec))
        for pod in state.pods_of(deployment)
        for container in pod.containers
    ]
    given = max(defaults_of(state, deployment.namespace, f"limits.{resource}"), key=quantity, default=None)
    held += [
        (
            f"the next Pod of Deployment {name}",
            container,
            bounds(container, deployment.spec["template"]["spec"]) or given,
        )
        for container in deployment.containers
    ]
    evidence = {"object": deployment.ref, "look": f"kubectl describe deployment {name}"}
    for whose, container, limit in held:
        where = f"Container {container['name']} of {whose}"
        has = "would have" if whose.startswith("the next") else "has"
        others = (container.get("resources") or {}).get("limits") or {}
        if limit is None or quantity(limit) == 0:  # 0 is the kernel's word for no limit
            request = limit_of(container, resource, "requests")
            fail(
                "memory-limit-missing" if resource == "memory" else "cpu-limit-missing",
                f"{where} {has} no {words} limit" + (f", only a request of {request}." if request else "."),
                expected=f"a {words} limit of at most {most}",
                observed="limits: " + (", ".join(f"{name} {value}" for name, value in sorted(others.items())) or "none"), **evidence,
            )  # fmt: skip
        if quantity(limit) > quantity(most):
            form = "next-pod" if whose.startswith("the next") else "running"
            fail_if_slip(resource, limit, deployment, form=form, container=container["name"])
            fail("limit-too-large", f"{where} {has} a {words} limit of {with_meaning(resource, limit)}.",
                 expected=f"at most {most}", observed=limit, **evidence)  # fmt: skip


@task("killed")
def report_has_the_memory_that_it_needs(state: State) -> None:
    deployment = state.require("Deployment", "report")
    require_program(deployment)
    state.require_working(deployment)
    require_limit(state, deployment, "memory", MOST_MEMORY)


@task("throttled", observe=CPU_OF_BUSY)
def busy_is_slowed_down(state: State, account: CpuAccount) -> None:
    deployment = state.require("Deployment", "busy")
    require_program(deployment)
    state.require_working(deployment)
    require_limit(state, deployment, "cpu", MOST_CPU)
    newest = state.pods_of(deployment)
    stat = account.of([pod.name for pod in newest])
    if stat.throttled < OFTEN:
        fail(
            "not-throttled", f"Container busy of Pod {stat.pod} was made to wait {counted(stat.throttled, 'time')} so far, in {stat.periods} tenths of a second.",
            expected=f"at least {OFTEN} times", observed=counted(stat.throttled, "time"), object=f"Pod/{stat.pod}",
            look=f"kubectl exec {stat.pod} -- cat {stat.file}", pending=state.changed_within(STARTING, *newest),
        )  # fmt: skip
