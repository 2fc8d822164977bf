"""Whether a Service still selects a Deployment's Pods after they are replaced, and not only those that exist now."""

from __future__ import annotations

from checker.model.state import Object
from checker.model.verdict import fail


def lasts(service: Object, deployment: Object) -> bool:
    """Whether a Service selects the Deployment's Pods by labels that its Pod template gives to each of them."""
    selector, labels = service.spec.get("selector") or {}, deployment.spec["template"]["metadata"]["labels"]
    return service.spec.get("type") != "ExternalName" and bool(selector) and selector.items() <= labels.items()


def require_lasting(service: Object, deployment: Object) -> None:
    """A Service finds the Deployment's Pods by labels of its template (see lasts).

    Raises Failed with the reason otherwise.
    """
    if lasts(service, deployment):
        return
    selector, labels = service.spec.get("selector") or {}, deployment.spec["template"]["metadata"]["labels"]
    if service.spec.get("type") == "ExternalName":
        host = service.spec.get("externalName")
        fail("service-is-externalname", service, host=host, deployment=deployment.name)
    if not selector:
        fail("service-has-no-selector", service, form="of-deployment", deployment=deployment.name)
    passing = dict(selector.items() - labels.items())
    fail(
        "selector-not-of-template",
        service,
        selector=selector,
        deployment=deployment.name,
        passing=passing,
        labels=labels,
    )
