"""Enforces NetworkPolicies on the node that it runs on, with nftables. For the tests' cluster only.

The tests' cluster has a stand-in for kindnet (cluster/recipe/route-pods) that gives Pods a network and enforces nothing. Its ptp
plugin sends every packet between Pods through the node's own network, those between two Pods of one node too, so that a
chain at the hook `forward` sees all of them: behind the DNAT of Services (so a packet is judged by the Pod that it goes to)
and before any masquerading (so by the Pod that it comes from). What the node itself sends to its Pods (the kubelet's
probes) does not pass that hook, and is always let through, as the documentation asks for.

A Pod's way out is judged on its own node, its way in on its own too. IPv4 only.

Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from in_cluster import Api  # checker/observer/in_cluster.py

READY = Path("/run/enforcer-ready")  # there once the first set of rules is in place
TABLE = "inet kubeclass_policies"
EMPTY = f"table {TABLE} {{}}\ndelete table {TABLE}\n"
SETTLE = 0.05  # seconds in which more changes may arrive before the rules are made
PEERS = {"ingress": "from", "egress": "to"}
OTHER_END = {"ingress": "ip saddr", "egress": "ip daddr"}


# -- what the policies say: objects in, nftables' language out -------------------------------------------------------


def selects(selector, labels):
    """Whether a label selector matches. An empty one matches everything.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#resources-that-support-set-based-requirements
    """
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for wanted in selector.get("matchExpressions") or []:
        key, values = wanted["key"], wanted.get("values") or []
        met = {
            "In": labels.get(key) in values and key in labels,
            "NotIn": labels.get(key) not in values or key not in labels,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not met[wanted["operator"]]:
            return False
    return True


def labels_of(item):
    return item["metadata"].get("labels") or {}


def directions(policy):
    """Which ways a policy is about: `policyTypes`, or, without it, Ingress always and Egress where it has such rules."""
    types = policy["spec"].get("policyTypes") or ["Ingress", *(["Egress"] if policy["spec"].get("egress") else [])]
    return {name.lower() for name in types}


def networked(pods):
    """The Pods that have an address of their own now."""
    return [
        pod
        for pod in pods
        if pod["status"].get("podIP")
        and not pod["spec"].get("hostNetwork")
        and pod["status"].get("phase") not in ("Succeeded", "Failed")
    ]


def named_port(pod, name, protocol):
    """The number of a Pod's container port by its name, or None."""
    containers = [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or [])]
    for port in (port for container in containers for port in container.get("ports") or []):
        if port.get("name") == name and port.get("protocol", "TCP") == protocol:
            return port["containerPort"]
    return None


def one_of(values):
    return f"{{ {', '.join(values)} }}"


class Rules:
    """The rules of one node, from all objects of the cluster."""

    def __init__(self, node, pods, namespaces, policies):
        self.pods = sorted(networked(pods), key=lambda pod: pod["status"]["podIP"])
        self.mine = [pod for pod in self.pods if pod["spec"].get("nodeName") == node]
        self.namespaces = {item["metadata"]["name"]: labels_of(item) for item in namespaces}
        self.policies = sorted(policies, key=lambda p: (p["metadata"]["namespace"], p["metadata"]["name"]))

    def text(self):
        """Input for `nft -f`: takes the old table away and puts the new one there, in one step."""
        chains, ways = [], {}
        for direction in ("egress", "ingress"):  # a packet leaves its Pod before it comes to another
            jumps = []
            for pod in self.mine:
                chosen = [policy for policy in self.policies if self.isolates(policy, pod, direction)]
                if chosen:
                    address = pod["status"]["podIP"]
                    chain = f"{direction}_{address.replace('.', '_')}"
                    rules = [rule for policy in chosen for rule in self.allowed(policy, pod, direction)]
                    chains.append(f"chain {chain} {{\n  " + "\n  ".join([*dict.fromkeys(rules), "drop"]) + "\n}\n")
                    jumps.append(f"{address} : jump {chain}")
            if jumps:
                ways[direction] = jumps
        if not ways:
            return EMPTY
        forward = ["type filter hook forward priority filter; policy accept;", "ct state established,related accept"]
        own_end = {"egress": "ip saddr", "ingress": "ip daddr"}
        forward += [f"{own_end[direction]} vmap {one_of(jumps)}" for direction, jumps in ways.items()]
        chains.append("chain forward {\n  " + "\n  ".join(forward) + "\n}\n")
        return f"{EMPTY}table {TABLE} {{\n{''.join(chains)}}}\n"

    def isolates(self, policy, pod, direction):
        return (
            policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
            and direction in directions(policy)
            and selects(policy["spec"].get("podSelector") or {}, labels_of(pod))
        )

    def allowed(self, policy, pod, direction):
        """What a policy lets through at this Pod: nftables rules that return to the caller."""
        name = f"{policy['metadata']['namespace']}/{policy['metadata']['name']}"[:120]  # nft takes 128 bytes
        note = f'return comment "{name}"'
        for rule in policy["spec"].get(direction) or []:
            for peer, others in self.peers(policy, rule.get(PEERS[direction]), direction):
                for port in self.ports(pod, rule.get("ports"), direction, others):
                    yield " ".join(part for part in (peer, port, note) if part)

    def peers(self, policy, peers, direction):
        """(what matches the other end, its Pods) for each item; nothing that matches everybody where there are no items."""
        end = OTHER_END[direction]
        if not peers:
            yield "", self.pods
        for peer in peers or []:
            if "ipBlock" in peer:
                block = peer["ipBlock"]
                if ":" not in block["cidr"]:
                    yield (
                        " ".join(
                            [f"{end} {block['cidr']}", *(f"{end} != {cidr}" for cidr in block.get("except") or [])]
                        ),
                        [],
                    )
            elif others := self.peer_pods(policy, peer):
                yield f"{end} {one_of(other['status']['podIP'] for other in others)}", others

    def peer_pods(self, policy, peer):
        """The Pods that an item means: both selectors must match; a missing namespaceSelector means the policy's own namespace."""
        found = []
        for pod in self.pods:
            where = pod["metadata"]["namespace"]
            if "namespaceSelector" in peer:
                there = selects(peer["namespaceSelector"] or {}, self.namespaces.get(where, {}))
            else:
                there = where == policy["metadata"]["namespace"]
            if there and selects(peer.get("podSelector") or {}, labels_of(pod)):
                found.append(pod)
        return found

    def ports(self, pod, ports, direction, others):
        """What matches the port that a packet goes to; "" where every port is meant."""
        if not ports:
            yield ""
        for port in ports or []:
            protocol, wanted = port.get("protocol", "TCP"), port.get("port")
            match = f"{protocol.lower()} dport"
            if wanted is None:
                yield f"meta l4proto {protocol.lower()}"
            elif isinstance(wanted, int):
                yield f"{match} {wanted}-{port['endPort']}" if "endPort" in port else f"{match} {wanted}"
            elif direction == "ingress":
                number = named_port(pod, wanted, protocol)
                if number:
                    yield f"{match} {number}"
            else:  # a name means the port of that name of each Pod at the other end
                numbers = {}
                for other in others:
                    if number := named_port(other, wanted, protocol):
                        numbers.setdefault(number, []).append(other["status"]["podIP"])
                for number, addresses in numbers.items():
                    yield f"{OTHER_END['egress']} {one_of(addresses)} {match} {number}"


# -- following the cluster -------------------------------------------------------------------------------------------


class Watched:
    """All objects of a kind, kept up to date by a watch. Sets `changed` whenever one is another than before."""

    def __init__(self, path, changed):
        self.path, self.changed = path, changed
        self.items, self.listed = {}, threading.Event()
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        while True:
            try:
                with Api(f"{self.path}?resourceVersion=0") as answer:
                    found = json.load(answer)
                self.items = {item["metadata"]["uid"]: item for item in found["items"]}
                self.listed.set()
                self.changed.set()
                version = found["metadata"]["resourceVersion"]
                while version:
                    version = self.watch(version)
            except (OSError, ValueError, http.client.HTTPException) as error:
                # The rules stay as they are while the API server is away.
                print(f"{self.path}: {type(error).__name__}: {error}", flush=True)
                time.sleep(0.5)

    def watch(self, version):
        """Follow from a version on; returns the last version seen, or None where the list must be read anew."""
        with Api(f"{self.path}?watch=true&allowWatchBookmarks=true&resourceVersion={version}") as answer:
            for line in answer:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return None
                item = event["object"]
                version = item["metadata"]["resourceVersion"]
                if event["type"] == "BOOKMARK":
                    continue
                if event["type"] == "DELETED":
                    self.items.pop(item["metadata"]["uid"], None)
                else:
                    self.items[item["metadata"]["uid"]] = item
                self.changed.set()
        return version

    def all(self):
        return list(self.items.values())


def load(text):
    """Hand rules to the kernel. Returns what nft has against them; empty where they are in place."""
    done = subprocess.run(["nft", "-f", "-"], input=text, capture_output=True, text=True, check=False)
    return done.stderr.strip() or ("" if done.returncode == 0 else f"nft ended with {done.returncode}")


def end(*_):
    """Asked to go: nothing is enforced from then on, and nothing is left in the node."""
    load(EMPTY)
    os._exit(0)


def main():
    changed = threading.Event()
    pods, namespaces, policies = (
        Watched(path, changed)
        for path in ("/api/v1/pods", "/api/v1/namespaces", "/apis/networking.k8s.io/v1/networkpolicies")
    )
    signal.signal(signal.SIGTERM, end)
    for watched in (pods, namespaces, policies):
        watched.listed.wait()
    last = None
    while True:
        changed.wait(60)
        time.sleep(SETTLE)
        changed.clear()
        text = Rules(os.environ["NODE_NAME"], pods.all(), namespaces.all(), policies.all()).text()
        if text == last:
            continue
        if error := load(text):
            print(f"{error}\n{text}", file=sys.stderr, flush=True)
            time.sleep(0.5)
            changed.set()
            continue
        last = text
        READY.touch()
        print(f"{text.count('jump')} ways of Pods are isolated", flush=True)


if __name__ == "__main__":
    main()
