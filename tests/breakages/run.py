"""`make prove EXPLAIN=random N=60`: break healthy namespaces on the real cluster, and ask `explain` for the root.

    python -m tests.breakages.run --number 60 --seed 26      sixty breakages, side by side
    python -m tests.breakages.run --only host-slip           one of them, which changes no table
    python -m tests.breakages.run --untried --most 10        the next ten of a run that has begun
    python -m tests.breakages.run --failed                   again what was not told well, or was not tried yet
    python -m tests.breakages.run --seed 28 --new            the breakages that this seed is the first to draw

The same seed breaks the same things. The table is written after each breakage, and keeps each seed's last run. What
`explain` saw is kept in the tests' home, under `breakages`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from datetime import date
from itertools import count
from typing import Any

import yaml

from checker.collect.api import Api
from checker.collect.collect import look
from checker.diagnosis.explain import explained
from checker.environments.namespace import NamespaceEnvironment
from checker.model.explanation import Explanation
from cluster import Problem, current
from cluster.kubectl import kubectl
from tests.breakages import containers, later, objects, services
from tests.breakages.breakage import ALL, Broken, Manifest, broken, changes, drawn
from tests.breakages.outcome import Outcome, judged, kept, outcomes_of, summary
from tests.conftest import HOME, cluster_missing
from tests.explain.case import remarks, roots
from tests.explain.test_explain import run as run_script
from tests.proof import table

MODULES = (services, containers, objects, later)  # importing them fills the list of breakages
HEALTHY = 180  # seconds that a healthy namespace is given to work
WAIT = 180  # seconds that a broken one is given to settle
PAUSE = 3.0
STEADY = 5.0  # seconds for which the same must be told
INGRESS_CLASS = "breakages"
IN_PLACE = ("may not change", "immutable", "is invalid", "Forbidden", "cannot change", "can not be")


def facts_of(namespace: str) -> dict[str, str]:
    """What stands for the words in capitals in the shapes."""
    address = kubectl(
        current(), "get", "endpointslices", "-n", "default", "kubernetes", "-o", "jsonpath={.endpoints[0].addresses[0]}"
    )
    return {"NAMESPACE": namespace, "API_SERVER": address, "INGRESS_CLASS": INGRESS_CLASS}


def try_out(one: Broken, namespace: str) -> Outcome:
    """Make a breakage in a namespace of its own, and judge what `explain` tells. The namespace is deleted."""
    begin = time.monotonic()
    kubectl(current(), "create", "namespace", namespace)
    kubectl(current(), "label", "namespace", namespace, "kubeclass.dev/lab=explain")
    place = NamespaceEnvironment(namespace)
    try:
        place.await_account(namespace)
        healthy = None
        if not one.first:
            apply(namespace, one.before)
            seen = settled(namespace, HEALTHY, healthy=True)
            if seen[-1].in_progress:
                raise RuntimeError(f"does not become healthy: {seen[-1].in_progress[0].message}")
            healthy = tuple(dict.fromkeys(root for one_look in seen for root in roots(one_look)))
        wanted = changes([] if one.first else one.before, one.after)
        for gone in wanted.delete:
            kubectl(current(), "-n", namespace, "delete", gone["kind"], gone["metadata"]["name"], "--wait=false")
        apply(namespace, wanted.apply)
        if one.breakage.script:
            run_script(place, one.breakage.script)
        seen = settled(namespace, WAIT, remark=one.breakage.remark)
        before = [root for one_look in seen[:-1] for root in roots(one_look)]
        return judged(one, roots(seen[-1]), remarks(seen[-1]), before, healthy, _since(begin))
    except Exception as why:  # whatever it is, it says nothing of `explain`, and the others go on
        kind = one.breakage
        words = " ".join(f"{type(why).__name__}: {why}".split())[:300]
        return Outcome(kind.name, kind.title, one.shape, one.roots, "broken", seconds=_since(begin), problem=words)
    finally:
        kubectl(current(), "delete", "namespace", namespace, "--wait=false")


def _since(begin: float) -> float:
    return time.monotonic() - begin


def apply(namespace: str, manifests: list[Manifest]) -> None:
    """Apply objects. What cannot be changed in place is deleted and created again. Raises Problem for a refusal.

    A ResourceQuota comes first: it does not concern Pods that are there before it.
    """
    for one in sorted(manifests, key=lambda obj: bool(obj["kind"] != "ResourceQuota")):
        text = yaml.safe_dump(one)
        try:
            kubectl(current(), "-n", namespace, "apply", "-f", "-", input=text)
        except Problem as why:
            if not any(words in str(why) + str(why.what) for words in IN_PLACE):
                raise
            kubectl(current(), "-n", namespace, "replace", "--force", "-f", "-", input=text)


def settled(namespace: str, seconds: float, healthy: bool = False, remark: bool = False) -> list[Explanation]:
    """What `explain` tells, look by look, until the same is told for a while and nothing is in progress.

    healthy: whether nothing should be told. remark: whether a remark is enough.
    """
    api, seen, begin = Api(current()), [], time.monotonic()
    steady_since = begin
    while True:
        state = look(namespace, api=api)
        seen.append(explained(state))
        last = seen[-1]
        if len(seen) > 1 and (roots(last), remarks(last)) != (roots(seen[-2]), remarks(seen[-2])):
            steady_since = time.monotonic()
        told = not last.findings if healthy else last.findings or (remark and last.remarks)
        done = told and not last.in_progress and not last.unseen and _since(steady_since) >= STEADY
        if done or _since(begin) > seconds:
            folder = HOME / "breakages"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{namespace.split('-', 3)[-1]}.json").write_text(json.dumps(state.to_json()))
            return seen
        time.sleep(PAUSE)


def run(chosen: list[Broken], names: list[str], workers: int) -> Iterator[Outcome]:
    """Try breakages out side by side, and print what came of each. Gives each outcome as soon as it is known."""
    with ThreadPoolExecutor(workers) as pool:
        for future in as_completed([pool.submit(try_out, *one) for one in zip(chosen, names, strict=True)]):
            outcome = future.result()
            print(
                f"{outcome.word:7} {outcome.seconds:4.0f} s  {outcome.shape}/{outcome.name}  {_details(outcome)}",
                flush=True,
            )
            yield outcome


def _details(outcome: Outcome) -> str:
    words = [outcome.problem] if outcome.problem else []
    if outcome.word in ("half", "missed"):
        words.append(f"wanted {' or '.join(outcome.roots)}, told {', '.join(outcome.told) or 'nothing'}")
    words += [f"too early: {', '.join(outcome.early)}"] if outcome.early else []
    words += [f"when healthy: {', '.join(outcome.healthy)}"] if outcome.healthy else []
    return "; ".join(words)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make prove EXPLAIN=random")
    parser.add_argument("--number", type=int, default=60)
    parser.add_argument("--seed", default="26")
    parser.add_argument("--only", nargs="+", default=[], help="names of breakages; the table stays as it is")
    parser.add_argument("--no-table", action="store_true", help="the table stays as it is")
    parser.add_argument(
        "--failed", action="store_true", help="only what the last run of this seed has not tried, or not told well"
    )
    parser.add_argument(
        "--untried",
        action="store_true",
        help="only what this seed's last run has not tried: its first try goes on",
    )
    parser.add_argument("--new", action="store_true", help="only the breakages that this seed is the first to draw")
    parser.add_argument("--most", type=int, help="how many are tried this time; --untried goes on with the others")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--prefix", default="random")
    options = parser.parse_args()
    if why := cluster_missing():
        sys.exit(why)
    goes_on = options.failed or options.untried
    kinds = drawn(options.number, options.seed)
    if options.new:
        kinds = [one for one in ALL if str(one.since) == options.seed]
        options.number = len(kinds)
    if goes_on and options.number > len({one.name for one in kinds}):
        parser.error("--failed and --untried go only with breakages that are all different")
    if options.only:
        kinds = [one for one in ALL if one.name in options.only]
    print(f"{len(kinds)} breakages of {len(ALL)}, seed {options.seed}", flush=True)
    names = [f"{options.prefix}-{os.getpid()}-{number}-{one.name}" for number, one in enumerate(kinds)]
    turns: dict[str, Any] = {}
    chosen = []
    for kind, namespace in zip(kinds, names, strict=True):
        turn = next(turns.setdefault(kind.name, count()))
        chosen.append(broken(kind, f"{options.seed} {turn}", facts_of(namespace)))
    known = table.read().get("random", {}).get(options.seed, {}) if goes_on else {}
    known = known if known.get("number") == options.number else {}
    done = {outcome.name for outcome in outcomes_of(known) if options.untried or outcome.is_well}
    todo = [(one, name) for one, name in zip(chosen, names, strict=True) if one.breakage.name not in done]
    todo = todo[: options.most]
    outcomes: list[Outcome] = []
    with _ingress_class():
        for outcome in run([one for one, _ in todo], [name for _, name in todo], options.workers):
            outcomes.append(outcome)
            if not options.only and not options.no_table:
                data = table.read()
                today = date.today().isoformat()
                data.setdefault("random", {})[options.seed] = kept(outcomes, today, options.number, known, options.new)
                table.write(data)
    numbers = summary(outcomes)
    print(numbers)
    return int(numbers["first"] < len(outcomes) or bool(numbers["said_of_healthy"]))


@contextmanager
def _ingress_class() -> Iterator[None]:
    """The IngressClass that the shapes name, as long as this is entered: else each Ingress would be told as unhandled.

    It is an object of the whole cluster, and a case of tests/explain is about a cluster that has none.
    """
    spec = {"controller": "example.org/none"}
    manifest = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": INGRESS_CLASS}}
    kubectl(current(), "apply", "-f", "-", input=yaml.safe_dump({**manifest, "spec": spec}))
    try:
        yield
    finally:
        kubectl(current(), "delete", "ingressclass", INGRESS_CLASS, "--ignore-not-found")


if __name__ == "__main__":
    sys.exit(main())
