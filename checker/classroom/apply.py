"""Making a class: server-side apply, many objects at a time. The same again changes nothing; a stop is gone on from.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from checker.classroom.kinds import KINDS, collection, key_of, path_of
from checker.classroom.plan import Class, steps
from checker.collect.api import Api, ApiError
from checker.model.catalogue import problem
from checker.model.state import CLASS
from cluster.waiting import wait_until

Manifest = dict[str, Any]
Key = tuple[str, str, str]
# Not `kubeclass`: with that name a learner's `start` applies the labels of a lab to the same namespaces.
MANAGER = "kubeclass-class"
AT_A_TIME = 8
SECONDS = 30.0  # for one object, on a busy cluster


@dataclass(frozen=True)
class Done:
    """How many objects were created, changed, and found as they should be."""

    created: int = 0
    changed: int = 0
    same: int = 0

    def __add__(self, other: Done) -> Done:
        return Done(self.created + other.created, self.changed + other.changed, self.same + other.same)


def listed(api: Api, name: str, kinds: Iterable[str] = KINDS) -> dict[Key, Manifest]:
    """Everything on the cluster that carries the label of this class. Raises Problem where that cannot be seen."""

    def of_kind(kind: str) -> list[tuple[Key, Manifest]]:
        try:
            items = json.loads(
                api.request("GET", f"{collection(kind)}?labelSelector={CLASS}%3D{name}", read_timeout=SECONDS)
            )["items"]
        except ApiError as error:
            if error.status == 404:  # the cluster does not know the kind
                return []
            raise refused(error) from None
        return [(key_of(kind, one["metadata"]), one) for one in items]

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return dict(pair for pairs in pool.map(of_kind, list(kinds)) for pair in pairs)


def strangers(plan: Class, there: Iterable[Manifest]) -> list[str]:
    """The namespaces of the plan that exist and do not carry the class's label. They are somebody else's."""
    wanted = {plan.home(one) for one in plan.learners}
    wanted |= {name for one in plan.learners for name in plan.namespaces(one).values()}
    return sorted(
        one["metadata"]["name"]
        for one in there
        if one["metadata"]["name"] in wanted and (one["metadata"].get("labels") or {}).get(CLASS) != plan.name
    )


def namespaces(api: Api) -> list[Manifest]:
    """All namespaces of the cluster. Raises Problem."""
    try:
        found: list[Manifest] = api.get("/api/v1/namespaces")["items"]
    except ApiError as error:
        raise refused(error) from None
    return found


def wait_for_ending(api: Api, plan: Class, waiting: Callable[[], None], timeout: float = 300) -> None:
    """Wait until no namespace of the plan is being deleted, as after a `class remove` that was stopped.

    waiting: called once where one is. timeout: in seconds. Raises Problem after it, and where the API server refuses.
    """
    wanted = {name for one in plan.learners for name in (plan.home(one), *plan.namespaces(one).values())}

    def ending() -> list[str]:
        there = {one["metadata"]["name"] for one in namespaces(api) if "deletionTimestamp" in one["metadata"]}
        return sorted(wanted & there)

    if not ending():
        return
    waiting()
    wait_until(lambda: not ending(), timeout, pause=2)
    if left := ending():
        raise problem("class-still-ending", name=plan.name, namespaces=left[:5], more=len(left[5:]) or "")


def create(api: Api, plan: Class, report: Callable[[str, int, int], None]) -> Done:
    """Make the class, or bring it to what the plan says.

    told: called whenever objects of a step are done: the step's id, how many, of how many.
    Raises Problem where the API server refuses, and for a namespace of somebody else's; then nothing was made.
    """
    if taken := strangers(plan, namespaces(api)):
        raise problem("class-namespaces-taken", name=plan.name, namespaces=taken[:5], more=len(taken[5:]) or "")
    known = {key: _substance(one) for key, one in listed(api, plan.name).items()}
    done = Done()
    for step, manifests in steps(plan):
        if step == "contents":
            _make_accounts(
                api, [name for one in plan.learners for name in (plan.home(one), *plan.namespaces(one).values())]
            )
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            futures = [pool.submit(_apply, api, one, known) for one in manifests]
            try:
                for number, future in enumerate(futures, 1):
                    done += future.result()
                    report(step, number, len(manifests))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return done


def _substance(one: Manifest) -> Manifest:
    """An object without what the cluster itself writes: its status, and the marks of each write."""
    metadata = {key: value for key, value in one["metadata"].items() if key not in ("resourceVersion", "managedFields")}
    return {key: value for key, value in one.items() if key not in ("status", "apiVersion", "kind")} | {
        "metadata": metadata
    }


def _apply(api: Api, manifest: Manifest, known: dict[Key, Manifest]) -> Done:
    try:
        query = f"fieldManager={MANAGER}&force=true"
        answer = api.request(
            "PATCH", f"{path_of(manifest)}?{query}", manifest, SECONDS, content="application/apply-patch+yaml"
        )
    except ApiError as error:
        raise refused(error, f"{manifest['kind']} {manifest['metadata']['name']}") from None
    made = json.loads(answer)
    before = known.get(key_of(manifest["kind"], made["metadata"]))
    if before is None:
        return Done(created=1)
    return Done(same=1) if before == _substance(made) else Done(changed=1)


def _make_accounts(api: Api, namespaces: list[str]) -> None:
    """Make the account `default`, without which no Pod can be created, in each namespace that has none yet.

    The cluster's own controller makes it, too, but only 20 a second: three minutes for a class of five hundred.
    Source: --kube-api-qps at
    https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/
    """
    path = "/api/v1/serviceaccounts?fieldSelector=metadata.name%3Ddefault"
    try:
        items = json.loads(api.request("GET", path, read_timeout=SECONDS))["items"]
    except ApiError as error:
        raise refused(error) from None
    there = {one["metadata"]["namespace"] for one in items}

    def make(namespace: str) -> None:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        try:
            api.request("POST", collection("ServiceAccount", namespace), account, SECONDS)
        except ApiError as error:
            if error.status != 409:  # the controller was faster
                raise refused(error, f"ServiceAccount {namespace}/default") from None

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(make, [name for name in namespaces if name not in there]))


def refused(error: ApiError, what: str = "") -> Exception:
    """The Problem that stands for what the API server refused to a teacher."""
    if error.status == 0:
        return problem("class-cluster-away", message=error.why)
    if error.status in (401, 403):
        return problem("class-no-rights", message=error.why)
    return problem("class-refused", what=what, message=error.why)
