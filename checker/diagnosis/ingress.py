"""The chain of an Ingress: its backend Services exist, with those ports → they work → a controller handles it.

Source: https://kubernetes.io/docs/concepts/services-networking/ingress/
"""

from __future__ import annotations

from typing import Any

from checker.diagnosis.walking import walk
from checker.model.spelling import nearest
from checker.model.state import Object, State
from checker.model.verdict import fail


def walk_ingress(state: State, ingress: Object) -> None:
    """Walk the chain of an Ingress (see the module's text). Raises Failed with the first broken link."""
    services = [backend["service"] for backend in _backends(ingress) if backend.get("service")]
    for wanted in services:
        _require_backend(state, ingress, wanted)
    for wanted in services:
        service = state.find("Service", wanted["name"], ingress.namespace)
        if service:
            walk(state, service)
    _require_certificates(state, ingress)
    if ingress.status.get("loadBalancer", {}).get("ingress"):
        return
    classes = sorted(c.name for c in state.everywhere("IngressClass"))  # unknown where these may not be listed
    name = ingress.spec.get("ingressClassName") or ingress.annotations.get("kubernetes.io/ingress.class", "")
    if name and name not in classes:
        fail("ingress-without-controller", ingress, ingress_class=name, classes=classes)
    if not name and not classes:
        fail("ingress-without-controller", ingress, form="no-class")


def _require_certificates(state: State, ingress: Object) -> None:
    """The Secrets of an Ingress exist, with a certificate and its key. Raises Failed otherwise.

    Source: https://kubernetes.io/docs/concepts/services-networking/ingress/#tls
    """
    for entry in ingress.spec.get("tls") or []:
        name = entry.get("secretName")
        if not name or "Secret" in state.unlisted:
            continue
        secret = state.find("Secret", name, ingress.namespace)
        known = sorted(s.name for s in state.all("Secret", ingress.namespace))
        if not secret:
            near = nearest(name, known, cutoff=0.6)
            elsewhere = sorted({s.namespace for s in state.everywhere("Secret") if s.name == name})
            fail("ingress-secret-missing", ingress, secret=name, near=near, elsewhere=elsewhere, known=known)
        keys = sorted(secret.raw.get("data") or {})
        if missing := [key for key in ("tls.crt", "tls.key") if key not in keys]:
            fail("ingress-secret-missing", ingress, form="keys", secret=name, missing=missing, keys=keys)


def _backends(ingress: Object) -> list[dict[str, Any]]:
    """The backends of an Ingress: those of its paths, then the default one."""
    found = [
        path.get("backend") or {}
        for rule in ingress.spec.get("rules") or []
        for path in (rule.get("http") or {}).get("paths") or []
    ]
    return found + ([ingress.spec["defaultBackend"]] if ingress.spec.get("defaultBackend") else [])


def _require_backend(state: State, ingress: Object, wanted: dict[str, Any]) -> None:
    """A backend's Service exists and has the port. wanted: the `service` of the backend. Raises Failed otherwise."""
    service = state.find("Service", wanted["name"], ingress.namespace)
    known = sorted(s.name for s in state.all("Service", ingress.namespace))
    if not service:
        near = nearest(wanted["name"], known, cutoff=0.6)
        fail("ingress-backend-missing", ingress, service=wanted["name"], near=near, services=known)
    port = wanted.get("port") or {}
    ports = service.spec.get("ports") or []
    if ports and not any(
        port.get("number") == p["port"] or (port.get("name") and port["name"] == p.get("name")) for p in ports
    ):
        fail(
            "ingress-backend-missing",
            ingress,
            form="port",
            service=service.name,
            port=port.get("number") or port.get("name"),
            ports=[f"{p['port']} ({p['name']})" if p.get("name") else p["port"] for p in ports],
        )
