"""The guestbook of the capstone: its container, its variables, its ports."""

from typing import Any

from checker.sdk import Object, PlainState, fail, source_of_variable


def ports(service: Object | None) -> list[int]:
    return [port["port"] for port in (service.spec.get("ports") or [] if service else [])]


def app(workload: Object) -> dict[str, Any]:
    """The container of a Pod, or of a Pod template, that is the guestbook: what stands beside it says nothing of it, not even from the same image."""
    named = [c for c in workload.containers if c["image"].rpartition("/")[2].partition(":")[0] == "guestbook"]

    def likeness(container: dict[str, Any]) -> int:
        told = {v["name"] for v in container.get("env") or []} & {"PORT", "REDIS_HOST"}
        return (container["name"] == "guestbook") + bool(container.get("readinessProbe")) + len(told)

    return max(named or workload.containers, key=likeness)


def variable(state: PlainState, pod: Object, name: str) -> str:
    """What the guestbook in a Pod is given under this name; empty where it is given nothing, or by a Secret."""
    return state.env(pod, app(pod)).get(name, "")


def secret_with(state: PlainState, pod: Object, name: str) -> str:
    """The Secret that a variable of the guestbook in a Pod comes from; empty where it comes from none."""
    source = source_of_variable(state, pod, app(pod), name)
    return source.name if source and source.kind == "Secret" else ""


def require_port(service: Object, port: int) -> None:
    if port not in ports(service):
        fail(
            "service-port-missing", f"Service {service.name} takes no requests on port {port}, where the handbook's readers ask.",
            expected=f"port {port}", observed=f"ports: {', '.join(map(str, ports(service))) or 'none'}", object=service.ref,
            look=f"kubectl get service {service.name}",
        )  # fmt: skip
