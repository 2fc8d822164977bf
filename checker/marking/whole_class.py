"""Looking at a whole class with the teacher's rights: each kind is listed once, and each learner is judged by it.

A learner's State holds what that learner may see: the objects of their own namespaces, and what all share. So the
verdicts are those of the learner's own check. Only why a manifest of the learner's was refused is not known here: their
files are on their own machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import quote

from checker.classroom.apply import AT_A_TIME, SECONDS, listed, refused
from checker.classroom.needs import fitted_to_class, left_out
from checker.classroom.record import Record
from checker.collect.api import Api, ApiError
from checker.collect.big_answers import reading_big_answers
from checker.collect.collect import collect
from checker.grading.grade import judge
from checker.grading.labs import Lab, all_labs, load_lab
from checker.marking.class_objects import ClassObjects, Learner, Manifest, is_begun, learners_of, state_of
from checker.model.catalogue import problem, say
from checker.model.fault import Reason
from checker.model.kinds import KINDS
from checker.model.state import State
from checker.model.verdict import Result

LEARNERS_AT_A_TIME = 4  # each of them asks several things at a time
PAGE = 500  # objects in one answer of the API server. Source: kubectl's default for --chunk-size
PAUSE = 3.0  # seconds between two looks at learners whose verdicts may change by themselves
TELLING_CLOCKS = 60.0  # seconds by which two clocks may differ unsaid


@dataclass(frozen=True)
class Look:
    """One learner and one lab.

    state, result: None where the lab is not begun, and where it could not be seen. why: it could not be seen.
    removed: the learner's namespace went away meanwhile.
    """

    learner: Learner
    lab: Lab
    state: State | None = None
    result: Result | None = None
    why: str = ""
    removed: bool = False


@dataclass(frozen=True)
class Seen:
    """A class at one moment. time: by the API server's clock. skew: seconds that this machine's clock is ahead of it.

    now_in: the labs that each learner is in, by the learner's id.
    """

    time: datetime
    skew: float
    labs: tuple[Lab, ...]
    learners: tuple[Learner, ...]
    looks: tuple[Look, ...]
    now_in: dict[str, tuple[str, ...]]


Report = Callable[[int, int], None]


def labs_named(record: Record, names: Sequence[str]) -> list[Lab]:
    """These labs as they are in a class; all that the class has, where none is named. Raises Problem."""
    labs = [load_lab(name) for name in names] or [load_lab(number) for number in all_labs()]
    missing = left_out(labs, record.offers)
    for lab in labs:
        if names and lab.spec.needs.engine:
            raise problem("marking-lab-of-engine", lab=lab.number)
        if names and lab.number in missing:
            raise problem("marking-lab-not-here", lab=lab.number, reason=say(missing[lab.number]))
    here = [lab for lab in labs if lab.number not in missing and not lab.spec.needs.engine]
    return list({lab.number: fitted_to_class(lab, record.registry) for lab in here}.values())


def see(api: Api, record: Record, names: Sequence[str] = (), wait: float = 0, report: Report | None = None) -> Seen:
    """Look at the learners of a class, and judge the labs that they have begun.

    names: of the labs; by default those in which a learner is now. wait: seconds that a change in progress is given.
    report: called with how many learners of how many are judged.
    Raises Problem where the cluster does not answer, or refuses. What concerns one learner only is in that one's Look.
    """
    labs = labs_named(record, names)
    cluster = Listed(api, record.name)
    now = api.now
    learners = cluster.learners
    every_lab = labs_named(record, ())
    now_in = {one.id: tuple(lab.number for lab in every_lab if is_begun(cluster, one, lab)) for one in learners}
    if not names:
        labs = [lab for lab in labs if any(lab.number in numbers for numbers in now_in.values())]
    begun = [(one, lab) for lab in labs for one in learners if lab.number in now_in[one.id]]
    looks = {(look.learner.id, look.lab.number): look for look in _judged(api, cluster, begun, report)}
    deadline = time.monotonic() + wait
    while (again := _in_progress(looks.values())) and time.monotonic() + PAUSE < deadline:
        time.sleep(PAUSE)
        cluster = Listed(api, record.name)
        again = [(one, lab) for one, lab in again if one in cluster.learners and is_begun(cluster, one, lab)]
        looks |= {(look.learner.id, look.lab.number): look for look in _judged(api, cluster, again, None)}
    there = {(one.id, one.uid) for one in _learners(api, record.name)} if begun else set()
    all_looks = [
        replace(
            looks.get((one.id, lab.number)) or Look(one, lab), removed=bool(begun) and (one.id, one.uid) not in there
        )
        for lab in labs
        for one in learners
    ]
    skew = (datetime.now(UTC) - api.now).total_seconds()
    return Seen(now, skew, tuple(labs), tuple(learners), tuple(all_looks), now_in)


def _in_progress(looks: Iterable[Look]) -> list[tuple[Learner, Lab]]:
    return [
        (look.learner, look.lab)
        for look in looks
        if look.result and any(task.in_progress for task in look.result.tasks)
    ]


def _judged(api: Api, cluster: Listed, begun: Sequence[tuple[Learner, Lab]], report: Report | None) -> Iterator[Look]:
    kinds = {kind for _, lab in begun for kind in lab.kinds}
    cluster.add(kinds)

    with ThreadPoolExecutor(LEARNERS_AT_A_TIME, thread_name_prefix="learner") as pool:
        for number, look in enumerate(pool.map(lambda pair: look_at(api, cluster, *pair), begun), 1):
            yield look
            if report:
                report(number, len(begun))


def look_at(api: Api, objects: ClassObjects, learner: Learner, lab: Lab) -> Look:
    """Observe what the objects of one learner's lab do not tell, and judge. A fault in it is told in the Look."""
    place = learner.place_of(lab)
    try:
        state = collect(
            api,
            place,
            lab.observations,
            kinds=lab.kinds,
            listed=state_of(objects, learner, lab),
            further=lab.namespaces(place).values(),
        )
        return Look(learner, lab, state, judge(lab, state))
    except Exception as error:  # of one learner: the others are judged all the same
        return Look(learner, lab, why=str(error) or type(error).__name__)


class Listed:
    """What is on the cluster, each kind listed once, by namespace."""

    def __init__(self, api: Api, name: str) -> None:
        """Raises Problem where namespaces cannot be listed."""
        self.api = api
        self.namespaces = _namespaces(api, name)
        self.learners = learners_of(name, self.namespaces)
        self.unlisted: dict[str, Reason] = {}
        self._objects: dict[str, dict[str, list[Manifest]]] = {}
        self._mine = {namespace for learner in self.learners for namespace in learner.namespaces}
        self.add(["ConfigMap"])  # which may hold the marks of `kubeclass start`
        self.now = api.now

    def add(self, kinds: Iterable[str]) -> None:
        """List these kinds, as far as they are not listed yet. Raises Problem where the cluster does not answer."""
        wanted = [kind for kind in kinds if kind != "Namespace" and kind not in {*self._objects, *self.unlisted}]
        with reading_big_answers(), ThreadPoolExecutor(AT_A_TIME) as pool:
            for kind, found in zip(wanted, pool.map(self._list, wanted), strict=True):
                if isinstance(found, ApiError):
                    self.unlisted[kind] = found.why
                    continue
                by_namespace = self._objects.setdefault(kind, {})
                for raw in found:
                    where = raw["metadata"].get("namespace", "")
                    if not where or where in self._mine:
                        by_namespace.setdefault(where, []).append(raw)
        self.now = self.api.now

    def of(self, kind: str, namespace: str) -> list[Manifest]:
        """See ClassObjects."""
        return self._objects.get(kind, {}).get(namespace, [])

    def _list(self, kind: str) -> list[Manifest] | ApiError:
        path = KINDS[kind].path() if kind == "Event" else KINDS[kind].paths("")[0]
        try:
            return list(_pages(self.api, path))
        except ApiError as error:
            if error.status in (0, 401):
                raise refused(error) from None
            return error


def _pages(api: Api, path: str) -> Iterator[Manifest]:
    """All objects of a collection, in answers of a bounded size. Raises ApiError.

    Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
    """
    token, joined_by = "", "&" if "?" in path else "?"
    while True:
        more = f"&continue={quote(token)}" if token else ""
        page = json.loads(api.request("GET", f"{path}{joined_by}limit={PAGE}{more}", read_timeout=SECONDS))
        yield from page["items"]
        token = (page.get("metadata") or {}).get("continue") or ""
        if not token:
            return


def _namespaces(api: Api, name: str) -> dict[str, Manifest]:
    """The namespaces of a class that are not terminating, by name. Raises Problem."""
    found = listed(api, name, ["Namespace"]).values()
    return {one["metadata"]["name"]: one for one in found if "deletionTimestamp" not in one["metadata"]}


def _learners(api: Api, name: str) -> list[Learner]:
    return learners_of(name, _namespaces(api, name))
