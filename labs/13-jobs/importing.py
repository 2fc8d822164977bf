"""The Job import: its Pods bring every box into the guestbook, two at a time."""

from datetime import timedelta
from typing import NoReturn

from checker.sdk import (
    Answers,
    Object,
    Ref,
    State,
    fail,
    failure_policy_action,
    job_is_complete,
    most_pods_at_once,
    parse_time,
    require_job_complete,
    task,
    tries_failed,
    unknown,
)

from .ledger import LEDGER, Ledger, Line, of_job, read_ledger, require_remembered

BOXES = range(4)
KEPT = 24  # the archive keeps so many lines about boxes
SENT_AWAY = 75  # the exit code of import.py where the archive says: come again
INDEX = "batch.kubernetes.io/job-completion-index"


def finished_import(state: State, answers: Answers) -> tuple[Object, list[Line]]:
    """The Job import, and the lines of its Pods in the ledger. Raises Failed or Unknown where its work is not done."""
    ledger = read_ledger(state, answers)
    fail_if_gone(state, ledger)
    job = state.require("Job", "import")
    fail_if_not_numbered(state, job)
    require_job_complete(state, job)
    require_remembered(ledger, parse_time(job.status["startTime"]), job)
    visits = of_job(state, job, ledger.boxes)
    number = {pod.status.get("podIP"): pod.annotations.get(INDEX) for pod in state.owned("Pod", job)}
    # A box counts when the Pod with its number has fetched it and then reported that it is in the guestbook.
    given = {(visit.box, visit.address): visit.at for visit in visits if visit.what == "given"}
    brought = {
        visit.box
        for visit in visits
        if visit.what == "imported"
        and number[visit.address] == str(visit.box)
        and (visit.box, visit.address) in given
        and given[visit.box, visit.address] <= visit.at
    }
    missing = sorted(set(BOXES) - brought)
    if missing:
        require_not_pushed_out(job, ledger)
        explain_missing(job, visits, missing)
    return job, visits


def require_not_pushed_out(job: Object, ledger: Ledger) -> None:
    """Raise Unknown where later lines have taken the place of this Job's lines."""
    if len(ledger.boxes) >= KEPT and ledger.boxes[0].at > parse_time(job.status["startTime"]):
        archive = Ref("Service", "archive", job.namespace)
        unknown("not-observed", archive, form="ledger-full", job=job.name, kept=KEPT, last=ledger.boxes[-1].who)


def fail_if_gone(state: State, ledger: Ledger) -> None:
    """Raise Unknown where the Job was active a moment ago, and was deleted together with its Pods."""
    seen = [line for line in ledger.boxes if line.who.rpartition("-")[0] == "import" and state.age(line.at) < 600]
    others = [o for kind in ("Job", "Pod", "Deployment") for o in state.all(kind) if o.name.startswith("import")]
    if seen and not others:
        unknown(
            "job-gone",
            Ref("Job", "import", state.namespace),
            ago=round(state.age(seen[-1].at)),
            pods=sorted({line.who for line in seen}),
        )


def fail_if_not_numbered(state: State, job: Object) -> None:
    """Without numbers no Pod knows its box, so every try fails."""
    failing = tries_failed(state, job) or not job_is_complete(job)
    asks = any(
        "JOB_COMPLETION_INDEX is not set" in text for key, text in state.logs.items() if key.startswith("import-")
    )
    mode = job.spec.get("completionMode", "NonIndexed")
    if mode != "Indexed" and failing and asks:
        fail("job-not-indexed", job, mode=mode)


def explain_missing(job: Object, visits: list[Line], missing: list[int]) -> NoReturn:
    """Raise Failed for a complete Job whose Pods did not bring these boxes into the guestbook."""
    fail_if_by_another(job, visits, missing)
    completions, parallelism = job.spec.get("completions") or 1, job.spec.get("parallelism", 1)
    if completions < len(BOXES) and max(missing) >= completions:
        counts = {"completions": completions, "parallelism": parallelism}
        if parallelism == len(BOXES):
            fail("job-counts-swapped", job, missing=missing, boxes=len(BOXES), **counts)
        fail("job-too-few-completions", job, missing=missing, boxes=len(BOXES), **counts)
    refused = sorted({visit.box for visit in visits if visit.what == "come again"} & set(missing))
    if refused:
        fail("job-without-work", job, form="box-refused", missing=missing, boxes=len(BOXES), box=refused[0])
    only_reported = sorted({visit.box for visit in visits if visit.what == "imported"} & set(missing))
    if only_reported:
        fail("job-without-work", job, form="box-not-fetched", missing=missing, boxes=len(BOXES), box=only_reported[0])
    fail("job-without-work", job, form="boxes-missing", missing=missing, boxes=len(BOXES))


def fail_if_by_another(job: Object, visits: list[Line], missing: list[int]) -> None:
    """Raise Failed for a box that is in the guestbook, but that another Pod than the one with its number brought."""
    fetched = {(visit.box, visit.address) for visit in visits if visit.what == "given"}
    brought = [v for v in visits if v.what == "imported" and v.box in missing and (v.box, v.address) in fetched]
    if brought:
        mode = job.spec.get("completionMode", "NonIndexed")
        fail("job-not-indexed", job, form="other-pod", mode=mode, box=brought[0].box, pod=brought[0].who)


@task("imported", observe=LEDGER)
def job_imported_every_box(state: State, answers: Answers) -> None:
    job, visits = finished_import(state, answers)
    state.require_image(job, "guestbook:v1")
    # Only lines that are surely of this Job: the archive may also have refused a box to an earlier Job import.
    begin = parse_time(job.status["startTime"]) - timedelta(seconds=1)
    sent_away = [visit for visit in visits if visit.what == "come again" and visit.at >= begin]
    if sent_away and not tries_failed(state, job):
        fail("job-never-retried", job, form="asked-again", box=sent_away[0].box)
    if not tries_failed(state, job):
        fail_if_it_would_not_retry(job)


def fail_if_it_would_not_retry(job: Object) -> None:
    """Raise Failed where a Job would not try again after the exit code of a program that the archive has refused."""
    action = failure_policy_action(job, SENT_AWAY)
    if action in ("FailJob", "FailIndex"):
        fail("job-never-retried", job, form="rule", action=action, code=SENT_AWAY)
    if action == "Ignore":  # the Job controller makes such a try again, and does not count it
        return
    for field in ("backoffLimit", "backoffLimitPerIndex"):
        if job.spec.get(field) == 0:
            fail("job-never-retried", job, form="limit", field=field)


@task("two-at-a-time", observe=LEDGER)
def two_pods_at_a_time(state: State, answers: Answers) -> None:
    job, _ = finished_import(state, answers)
    pods = state.owned("Pod", job)
    if len(pods) < len(BOXES):
        unknown("not-observed", job, form="pods-deleted", left=len(pods))
    most, parallelism = most_pods_at_once(state, job), job.spec.get("parallelism", 1)
    if most < 2:
        fail("job-one-at-a-time", job, pods=len(pods), most=most, parallelism=parallelism)
    if most > 2:
        fail("job-too-many-at-once", job, most=most, parallelism=parallelism)
