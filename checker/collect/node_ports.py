"""Requests from outside the cluster: from this machine to the nodes.

Where this machine has no route to the nodes, one node asks another.
Docker Desktop keeps the nodes' addresses inside its virtual machine; there `curl` in a node stands in for a neighbour.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from checker.model.catalogue import problem
from cluster import Problem
from cluster.http_client import get, httpx
from cluster.process import finish

TIMEOUT = 2.0  # seconds for one request


def ask_nodes(question: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """One GET of `path` to each of `ports` ({Service name: node port}) at each of `addresses` ({node name: IP}).

    Returns {Service name: {node name: answer as the observer writes it}}.
    Raises Problem where no node can be reached from here at all.
    """
    pairs = [(service, node) for service in question["ports"] for node in question["addresses"]]
    with ThreadPoolExecutor(max_workers=16) as pool:
        got = list(pool.map(lambda pair: _get(_url(pair[0], pair[1], question)), pairs))
        if all(answer["error"] == "unreachable" for answer in got):
            got = list(pool.map(lambda pair: _get_from_neighbour(pair[0], pair[1], question), pairs))
    answers: dict[str, dict[str, dict[str, Any]]] = {service: {} for service in question["ports"]}
    for (service, node), answer in zip(pairs, got, strict=True):
        answers[service][node] = answer
    return answers


def _url(service: str, node: str, question: dict[str, Any]) -> str:
    return f"http://{question['addresses'][node]}:{question['ports'][service]}{question['path']}"


def _answer(status: int = 0, text: str = "", host: str = "", version: str = "", error: str = "") -> dict[str, Any]:
    return {"status": status, "text": text, "host": host, "version": version, "error": error}


def _get(url: str) -> dict[str, Any]:
    try:
        got = get(url, TIMEOUT)
    except httpx.ConnectTimeout:
        return _answer(error="unreachable")  # a node refuses or answers; silence means that there is no route to it
    except httpx.ConnectError as error:
        return _answer(error="refused" if "refused" in str(error) else "unreachable")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return _answer(error="timeout" if isinstance(error, httpx.TimeoutException) else "reset")
    return _answer(
        got.status_code,
        got.content[:4096].decode(errors="replace").strip(),
        got.headers.get("X-Guestbook-Host", ""),
        got.headers.get("X-Guestbook-Version", ""),
    )


def _get_from_neighbour(service: str, node: str, question: dict[str, Any]) -> dict[str, Any]:
    """The same from another node's own network. curl's exit codes: 7 refused, 28 timeout."""
    from cluster.engine import command

    neighbour = next((name for name in question["addresses"] if name != node), node)
    try:
        curl = ("curl", "-s", "-m", str(TIMEOUT), "-w", "\n%{http_code}", _url(service, node, question))
        done = finish(command(), "exec", neighbour, *curl, timeout=TIMEOUT + 3)
    except Problem as away:
        raise problem("nodes-unreachable", why=away.what.rstrip(".")) from None
    if done.returncode in (7, 28):
        return _answer(error={7: "refused", 28: "timeout"}[done.returncode])
    if done.returncode != 0:
        raise problem("node-cannot-ask", node=neighbour, why=done.err.strip())
    text, _, status = done.out.rpartition("\n")
    return _answer(int(status), text.strip())
