"""Whether a Service goes on leading to a Deployment's Pods when these are made anew, and not only to those of today."""

from __future__ import annotations

from checker.model.spelling import pairs
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
        fail(
            "service-is-externalname", f"Service {service.name} is another name for {service.spec.get('externalName')}: it has no Pods of its own.",
            expected=f"a Service for the Pods of Deployment {deployment.name}", observed="type ExternalName", object=service.ref,
            look=f"kubectl get service {service.name} -o wide",
        )  # fmt: skip
    if not selector:
        fail(
            "service-has-no-selector", f"Service {service.name} has no selector: it leads to the addresses that somebody wrote down, "
            "and to no Pod that is made later.",
            expected=f"a selector for the Pods of Deployment {deployment.name}", observed="no selector", object=service.ref,
            look=f"kubectl describe service {service.name}",
        )  # fmt: skip
    passing = dict(selector.items() - labels.items())
    fail(
        "selector-not-of-template",
        f"Service {service.name} selects Pods with {pairs(selector)}. Pods of Deployment {deployment.name} have {pairs(passing)} "
        "for now, but not from its template: those that come later need not have it.",
        expected=f"labels of the template: {pairs(labels)}", observed=pairs(selector), object=service.ref,
        look="kubectl get pods --show-labels",
    )  # fmt: skip
