"""The two programs of the lab run as they were, with limits that let them work."""

from typing import Any

from checker.sdk import (
    Object,
    State,
    fail,
    fail_if_wrong_unit,
    limit_of,
    limit_range_defaults,
    quantity,
    usual_unit,
)

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
        form = "" if others else "other-order" if lines else "no-command"
        fail("program-changed", deployment, form=form, command=others)


def require_limit(state: State, deployment: Object, resource: str, most: str) -> None:
    """Every container of the Deployment's Pods has a limit of at most `most`, and the next Pod's containers will.

    What was changed in a Pod only (a resize) is lost with the Pod.
    """

    def bounds(container: dict[str, Any], spec: dict[str, Any]) -> Any:
        """A container's own limit; of memory also what its Pod may use: the kernel kills for either."""
        return limit_of(container, resource) or (limit_of(spec, resource) if resource == "memory" else None)

    held = [
        ("running", container, bounds(container, pod.spec))
        for pod in state.pods_of(deployment)
        for container in pod.containers
    ]
    given = max(limit_range_defaults(state, deployment.namespace, f"limits.{resource}"), key=quantity, default=None)
    held += [
        ("next-pod", container, bounds(container, deployment.spec["template"]["spec"]) or given)
        for container in deployment.containers
    ]
    for form, container, limit in held:
        name = container["name"]
        if limit is None or quantity(limit) == 0:  # 0 is the kernel's word for no limit
            request = limit_of(container, resource, "requests")
            limits = (container.get("resources") or {}).get("limits") or {}
            facts = {"container": name, "most": most, "request": request, "limits": limits}
            if resource == "memory":
                fail("memory-limit-missing", deployment, form=form, **facts)
            fail("cpu-limit-missing", deployment, form=form, **facts)
        if quantity(limit) > quantity(most):
            fail_if_wrong_unit(resource, limit, deployment, form=form, container=name)
            facts = {"container": name, "field": f"limits.{resource}", "value": limit, "most": most}
            fail("limit-too-large", deployment, form=form, usual=usual_unit(resource, limit), **facts)


def fail_if_only_resized(state: State, deployment: Object) -> None:
    """Raise Failed where a running Pod has a larger memory limit than its template: the next Pod lacks the memory."""
    template = {container["name"]: limit_of(container, "memory") for container in deployment.containers}
    for pod in state.pods_of(deployment):
        for container in pod.containers:
            has, gets = limit_of(container, "memory"), template.get(container["name"])
            if has and gets and quantity(has) > quantity(gets):
                facts = {"container": container["name"], "value": has, "limit": gets}
                fail("limit-too-small", deployment, form="resized", pod=pod.name, **facts)
