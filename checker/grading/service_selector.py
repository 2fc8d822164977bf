"""Whether a Service goes on leading to a Deployment's Pods when these are made anew, and not only to those of today."""

from __future__ import annotations

from checker.model.state import Object
from checker.model.verdict import fail


def lasts(service: Object, deployment: Object) -> bool:
    """Whether a Service finds the Deployment's Pods by labels that its template gives to each of them."""
    selector, labels = service.spec.get("selector") or {}, deployment.spec["template"]["metadata"]["labels"]
    return service.spec.get("type") != "ExternalName" and bool(selector) and selector.items() <= labels.items()


def require_lasting(service: Object, deployment: Object) -> None:
    """The same. Raises Failed with the reason where it is not so."""
    if lasts(service, deployment):
        return
    selector, labels = service.spec.get("selector") or {}, deployment.spec["template"]["metadata"]["labels"]
    if service.spec.get("type") == "ExternalName":
        target = service.spec.get("externalName", "")
        fail("service-is-externalname", service, target=target, deployment=deployment.name)
    if not selector:
        fail("service-has-no-selector", service, form="for-deployment", deployment=deployment.name)
    passing = dict(selector.items() - labels.items())
    fail(
        "selector-not-of-template",
        service,
        selector=selector,
        missing=passing,
        labels=labels,
        deployment=deployment.name,
    )
