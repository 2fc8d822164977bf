"""The guestbook of the capstone: its container, its variables, its ports."""

from typing import Any

from checker.sdk import ImageName, Object, PlainState, fail, source_of_variable


def ports(service: Object | None) -> list[int]:
    return [port["port"] for port in (service.spec.get("ports") or [] if service else [])]


def app(workload: Object) -> dict[str, Any]:
    """The container of a Pod, or of a Pod template, that is the guestbook.

    A sidecar is not the guestbook, even where it has the same image.
    """
    named = [c for c in workload.containers if ImageName.parse(c["image"]).base == "guestbook"]

    def likeness(container: dict[str, Any]) -> int:
        own = {v["name"] for v in container.get("env") or []} & {"PORT", "REDIS_HOST"}
        return (container["name"] == "guestbook") + bool(container.get("readinessProbe")) + len(own)

    return max(named or workload.containers, key=likeness)


def variable(state: PlainState, pod: Object, name: str) -> str:
    """The value of a variable of the guestbook in a Pod; empty where it is not set, or where a Secret sets it."""
    return state.env(pod, app(pod)).get(name, "")


def secret_with(state: PlainState, pod: Object, name: str) -> str:
    """The Secret that sets an environment variable of the guestbook in a Pod; empty where no Secret sets it."""
    source = source_of_variable(state, pod, app(pod), name)
    return source.name if source and source.kind == "Secret" else ""


def require_port(service: Object, port: int) -> None:
    """The Service has this port, which the handbook names. Raises Failed otherwise."""
    if port not in ports(service):
        fail("service-port-missing", service, form="handbook", port=port, ports=ports(service))
