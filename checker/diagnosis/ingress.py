"""The chain of an Ingress: the Services that it leads to exist, with those ports → they work → a controller takes care of it.

Source: https://kubernetes.io/docs/concepts/services-networking/ingress/
"""

from __future__ import annotations

from checker.diagnosis.walking import walk
from checker.model.spelling import nearest
from checker.model.state import Object, State
from checker.model.verdict import fail


def walk_ingress(state: State, ingress: Object) -> None:
    """An Ingress: the Services that it leads to exist, with those ports → they work → a controller takes care of it.

    Source: https://kubernetes.io/docs/concepts/services-networking/ingress/
    """
    look = f"kubectl describe ingress {ingress.name}"
    backends = [
        path.get("backend") or {}
        for rule in ingress.spec.get("rules") or []
        for path in (rule.get("http") or {}).get("paths") or []
    ]
    backends += [ingress.spec["defaultBackend"]] if ingress.spec.get("defaultBackend") else []
    services = [backend["service"] for backend in backends if backend.get("service")]
    for wanted in services:
        service = state.find("Service", wanted["name"], ingress.namespace)
        known = sorted(s.name for s in state.all("Service", ingress.namespace))
        if not service:
            near = nearest(wanted["name"], known, cutoff=0.6)
            fail(
                "ingress-backend-missing",
                f"Ingress {ingress.name} leads to Service {wanted['name']}, which does not exist in namespace {ingress.namespace}."
                + (f" There is one called {near}." if near else ""),
                expected=f"Service {wanted['name']}", observed=f"Services there: {', '.join(known) or 'none'}", object=ingress.ref, look=look,
            )  # fmt: skip
        port = wanted.get("port") or {}
        ports = service.spec.get("ports") or []
        if ports and not any(
            port.get("number") == p["port"] or (port.get("name") and port["name"] == p.get("name")) for p in ports
        ):
            has = ", ".join(str(p["port"]) + (f" ({p['name']})" if p.get("name") else "") for p in ports)
            asked = port.get("number") or port.get("name")
            fail(
                "ingress-backend-missing", f"Ingress {ingress.name} leads to port {asked} of Service {service.name}, which has port {has}.",
                expected=f"port {asked} of Service {service.name}", observed=f"its ports: {has}", object=ingress.ref, look=look,
            )  # fmt: skip
    for wanted in services:
        service = state.find("Service", wanted["name"], ingress.namespace)
        if service:
            walk(state, service)
    if "IngressClass" in state.unlisted or ingress.status.get("loadBalancer", {}).get("ingress"):
        return
    classes = sorted(c.name for c in state.objects.get("IngressClass", []))
    name = ingress.spec.get("ingressClassName") or ingress.annotations.get("kubernetes.io/ingress.class", "")
    if name not in classes and (name or not classes):
        wanted_class = f"an ingress controller for class {name}" if name else "an ingress controller"
        fail(
            "ingress-without-controller",
            f"Nobody takes care of Ingress {ingress.name}: there is no IngressClass{f' {name}' if name else ' in this cluster'}, so no controller acts on it.",
            expected=wanted_class, observed=f"IngressClasses: {', '.join(classes) or 'none'}", object=ingress.ref, look="kubectl get ingressclasses",
        )  # fmt: skip
