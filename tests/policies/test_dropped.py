"""Lab 14's cases where closed connections are dropped, as kindnet does it, and not refused, as kube-router does it.

The verdicts and causes must be the recorded ones. An nftables rule on each node drops what the node's firewall answers
to refused connections to Pods. What kube-proxy answers for a Service without Pods stays.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cluster import current
from cluster.engine import command
from cluster.nodes import nodes_of
from cluster.process import run
from tests.nodes import ON_THE_SECOND_CLUSTER

pytestmark = ON_THE_SECOND_CLUSTER
TABLE = "kubeclass_tests"
# An ICMP error holds the IP header of the refused packet from byte 8 on, and so its destination from byte 24, bit 192.
# In kind, Pods have addresses of 10.244.0.0/16. At this priority (mangle), the destination is still the Pod's.
# Sources: https://www.rfc-editor.org/rfc/rfc792; https://wiki.nftables.org (Raw payload, Netfilter hooks)
RULES = f"""
table ip {TABLE} {{
  chain output {{
    type filter hook output priority mangle;
    icmp type destination-unreachable icmp code port-unreachable @th,192,16 0x0af4 counter drop
  }}
}}
"""
CASES = " or ".join(f"14-{kind}-" for kind in ("setup", "solution", "accepted", "mistakes"))


@pytest.fixture
def nodes() -> Iterator[list[str]]:
    """The names of the nodes. All of them drop."""
    found = [node.name for node in nodes_of(command(), current())]
    try:
        for node in found:
            run(command(), "exec", "-i", node, "nft", "-f", "-", input=RULES)
        yield found
    finally:
        for node in found:
            run(command(), "exec", node, "nft", "delete", "table", "ip", TABLE)


def test_lab_14_where_closed_connections_are_dropped(nodes: list[str]) -> None:
    words: tuple[str, ...] = ("-q", "-n", "3", "--no-header", "tests/labs/test_cases.py", "-k", CASES)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env["KUBECLASS_TEST_CLUSTER"] = current().name
    words = (sys.executable, "-m", "pytest", *words)
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:]
    listed = [run(command(), "exec", node, "nft", "list", "table", "ip", TABLE) for node in nodes]
    dropped = sum(int(number) for number in re.findall(r"counter packets (\d+)", "".join(listed)))
    assert dropped > 100, f"Only {dropped} answers were dropped."
