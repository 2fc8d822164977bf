"""Addresses of Pods: whose an address is, and whether it is one that this cluster's Pods have.

A Pod keeps its IP address as long as it exists; another Pod may get it later.
Source: https://kubernetes.io/docs/concepts/cluster-administration/networking/#kubernetes-ip-address-ranges
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from checker.model.state import Object, State

# The part of an address that all Pods of a cluster share, in bits. The range itself is a setting of the network plugin,
# and no object holds it. kubeadm's and kind's ranges for Pods are not smaller than this.
SHARED_BITS = {4: 16, 6: 56}


def pod_with(state: State, address: str) -> Object | None:
    """The Pod that has this IP address now, among those that can be seen. Raises Unknown where none can be seen."""
    return next((pod for pod in state.everywhere("Pod") if has_address(pod) and pod.status["podIP"] == address), None)


def is_a_pods(state: State, address: str) -> bool:
    """Whether an IP address is in the range from which Pods get theirs, as far as the Pods that can be seen tell."""
    number = ip_address(address)
    known = {pod.status["podIP"] for pod in state.everywhere("Pod") if has_address(pod)}
    ranges = {ip_network(f"{one}/{SHARED_BITS[ip_address(one).version]}", strict=False) for one in known}
    return any(number in one for one in ranges if one.version == number.version)


def has_address(pod: Object) -> bool:
    """Whether a Pod has an address of its own. One that has ended has none any more; one on the host's network none."""
    over = pod.status.get("phase") in ("Succeeded", "Failed")
    return bool(pod.status.get("podIP")) and not over and not pod.spec.get("hostNetwork")
