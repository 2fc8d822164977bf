"""hostAliases of a Pod: names in its /etc/hosts, which a program finds before it asks the cluster's DNS.

Source: https://kubernetes.io/docs/tasks/network/customize-hosts-file-for-pods/
"""

from __future__ import annotations

from typing import Any

from checker.model.state import Object, State
from checker.model.verdict import fail


def explain_host_alias(state: State, pod: Object, host: str, facts: dict[str, Any]) -> None:
    """Raise Failed where a name that a container does not reach has another address in the Pod's hostAliases."""
    for alias in pod.spec.get("hostAliases") or []:
        if host not in (alias.get("hostnames") or []):
            continue
        service = state.find("Service", host.split(".")[0], pod.namespace)
        address = (service.spec.get("clusterIP") or "") if service else ""
        if address != alias.get("ip"):
            facts = {**facts, "ip": alias.get("ip"), "service": service.name if service else "", "address": address}
            fail("host-alias-elsewhere", pod, **facts)
