"""The Job import: its Pods bring every box into the guestbook, two at a time."""

from datetime import timedelta

from checker.sdk import (
    Answers,
    Object,
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
KEPT = 24  # so many lines about boxes the archive keeps
SENT_AWAY = 75  # the exit code of import.py when the archive says: come again
INDEX = "batch.kubernetes.io/job-completion-index"


def finished_import(state: State, answers: Answers) -> tuple[Object, list[Line]]:
    """The Job import, complete and with its work done, and what its Pods came to the archive for."""
    ledger = read_ledger(state, answers)
    fail_if_gone(state, ledger)
    job = state.require("Job", "import")
    fail_if_not_numbered(state, job)
    require_job_complete(state, job)
    require_remembered(ledger, parse_time(job.status["startTime"]), "Job import")
    visits = of_job(state, job, ledger.boxes)
    number = {pod.status.get("podIP"): pod.annotations.get(INDEX) for pod in state.owned("Pod", job)}
    # A box counts when the Pod of its number has fetched it and then said that it is in the guestbook.
    given = {(visit.box, visit.address): visit.at for visit in visits if visit.what == "given"}
    brought = {
        visit.box
        for visit in visits
        if visit.what == "imported" and number[visit.address] == str(visit.box)
        and (visit.box, visit.address) in given and given[visit.box, visit.address] <= visit.at
    }  # fmt: skip
    missing = sorted(set(BOXES) - brought)
    if missing:
        require_not_pushed_out(job, ledger)
        explain_missing(job, visits, missing)
    return job, visits


def require_not_pushed_out(job: Object, ledger: Ledger) -> None:
    """What came later has not taken the place of this Job's lines."""
    if len(ledger.boxes) >= KEPT and ledger.boxes[0].at > parse_time(job.status["startTime"]):
        unknown(
            "not-observed",
            f"So many have come to the archive for boxes since Job import began (the last was {ledger.boxes[-1].who}) that the archive, which keeps {KEPT} "
            "lines, does not remember it. Run the Job once more.",
            object="Service/archive", look="kubectl get jobs,cronjobs",
        )  # fmt: skip


def fail_if_gone(state: State, ledger: Ledger) -> None:
    """A Job that was here, worked, and is gone with everything that could be looked at."""
    seen = [line for line in ledger.boxes if line.who.rpartition("-")[0] == "import" and state.age(line.at) < 600]
    others = [o for kind in ("Job", "Pod", "Deployment") for o in state.all(kind) if o.name.startswith("import")]
    if seen and not others:
        came = ", ".join(sorted({line.who for line in seen}))
        unknown(
            "job-gone",
            f"There is no Job import, but {state.age(seen[-1].at):.0f} s ago its Pods came to the archive ({came}). It was deleted, by somebody or by its own "
            "ttlSecondsAfterFinished, before anybody looked at how it went.",
            expected="Job import, finished and still there", observed="no Job import", object="Job/import", look="kubectl get jobs --watch",
        )  # fmt: skip


def fail_if_not_numbered(state: State, job: Object) -> None:
    """Without numbers no Pod knows its box; that is why the tries fail, however many are allowed."""
    failing = tries_failed(state, job) or not job_is_complete(job)
    asks = any(
        "JOB_COMPLETION_INDEX is not set" in text for key, text in state.logs.items() if key.startswith("import-")
    )
    if job.spec.get("completionMode", "NonIndexed") != "Indexed" and failing and asks:
        fail(
            "job-not-indexed",
            "The Pods of Job import do not know which box is theirs: its completionMode is NonIndexed, so no JOB_COMPLETION_INDEX is set.",
            expected="a number for each Pod", observed=f"completionMode: {job.spec.get('completionMode', 'NonIndexed')}", object=job.ref,
            look="kubectl logs -l batch.kubernetes.io/job-name=import",
        )  # fmt: skip


def explain_missing(job: Object, visits: list[Line], missing: list[int]) -> None:
    fail_if_by_another(job, visits, missing)
    boxes = f"box {missing[0]} is" if len(missing) == 1 else f"boxes {', '.join(map(str, missing))} are"
    completions, parallelism = job.spec.get("completions") or 1, job.spec.get("parallelism", 1)
    evidence = {"object": job.ref, "look": "kubectl describe job import"}
    if completions < len(BOXES) and max(missing) >= completions:
        swapped = parallelism == len(BOXES)
        fail(
            "job-counts-swapped" if swapped else "job-too-few-completions",
            f"Job import is complete, and {boxes} not in the guestbook. Its completions are {completions}"
            + (f" and its parallelism is {parallelism}; the two look swapped." if swapped else f", and there are {len(BOXES)} boxes."),
            expected=f"{len(BOXES)} boxes", observed=f"completions: {completions}, parallelism: {parallelism}", **evidence,
        )  # fmt: skip
    only_said = sorted({visit.box for visit in visits if visit.what == "imported"} & set(missing))
    sent_away = sorted({visit.box for visit in visits if visit.what == "come again"} & set(missing))
    story = (
        f"The Pod that came for box {sent_away[0]} was told to come again, and its container ended with exit code 0 all the same."
        if sent_away
        else f"One of its Pods told the archive that box {only_said[0]} is, without having fetched it."
        if only_said
        else f"No Pod of this Job brought {'it' if len(missing) == 1 else 'them'} there."
    )
    fail(
        "job-without-work", f"Job import is complete, but {boxes} not in the guestbook. {story}",
        expected="all four boxes imported by its Pods", observed=f"{boxes} missing".replace(" is missing", " missing").replace(" are missing", " missing"),
        object=job.ref, look="kubectl logs -l batch.kubernetes.io/job-name=import --prefix",
    )  # fmt: skip


def fail_if_by_another(job: Object, visits: list[Line], missing: list[int]) -> None:
    """A box that is in the guestbook, but was not brought by the Pod of its number."""
    fetched = {(visit.box, visit.address) for visit in visits if visit.what == "given"}
    brought = [v for v in visits if v.what == "imported" and v.box in missing and (v.box, v.address) in fetched]
    if brought:
        mode = job.spec.get("completionMode", "NonIndexed")
        fail(
            "job-not-indexed", f"Box {brought[0].box} was brought by Pod {brought[0].who} of Job import, which is not the Pod with number {brought[0].box}"
            + (": this Job's Pods have no numbers." if mode == "NonIndexed" else "."),
            expected="a Pod of its own for each box, told its number by the Job", observed=f"completionMode: {mode}", object=job.ref,
            look="kubectl logs -l batch.kubernetes.io/job-name=import --prefix",
        )  # fmt: skip


@task("imported", observe=LEDGER)
def job_imported_every_box(state: State, answers: Answers) -> None:
    job, visits = finished_import(state, answers)
    state.require_image(job, "guestbook:v1")
    # Only what was surely this Job's: another Job import, that was there a moment before, may have been sent away, too.
    begin = parse_time(job.status["startTime"]) - timedelta(seconds=1)
    sent_away = [visit for visit in visits if visit.what == "come again" and visit.at >= begin]
    if sent_away and not tries_failed(state, job):
        fail(
            "job-never-retried",
            f"Box {sent_away[0].box} was refused at first, yet no try of Job import failed: the container went on asking by itself, and the Job knew "
            "nothing of it.",
            expected="a try that fails, and another one by the Job", observed="0 failed tries", object=job.ref, look="kubectl describe job import",
        )  # fmt: skip
    limit = limit_of_tries(job)
    if limit and not tries_failed(state, job):
        fail(
            "job-never-retried", f"No try of Job import has failed this time, and after one that fails it would have given up: {limit}.",
            expected="a Job that tries again", observed=limit, object=job.ref, look="kubectl describe job import",
        )  # fmt: skip


def limit_of_tries(job: Object) -> str:
    """What keeps a Job from trying again when its program was sent away; empty where nothing does."""
    action = failure_policy_action(job, SENT_AWAY)
    if action in ("FailJob", "FailIndex"):
        return f"podFailurePolicy: {action} at exit code {SENT_AWAY}"
    if action == "Ignore":  # such a try is made again and not counted
        return ""
    return next((f"{field}: 0" for field in ("backoffLimit", "backoffLimitPerIndex") if job.spec.get(field) == 0), "")


@task("two-at-a-time", observe=LEDGER)
def two_pods_at_a_time(state: State, answers: Answers) -> None:
    job, _ = finished_import(state, answers)
    pods = state.owned("Pod", job)
    if len(pods) < len(BOXES):
        unknown(
            "not-observed", f"Only {len(pods)} Pods of Job import are left: when they ran cannot be seen any more. Run the Job once more.",
            object=job.ref, look="kubectl get pods -l batch.kubernetes.io/job-name=import",
        )  # fmt: skip
    most, parallelism = most_pods_at_once(state, job), job.spec.get("parallelism", 1)
    evidence = {
        "expected": "two at a time", "observed": f"at most {most} at a time; parallelism: {parallelism}", "object": job.ref,
        "look": "kubectl get pods -l batch.kubernetes.io/job-name=import --sort-by=.status.startTime",
    }  # fmt: skip
    if most < 2:
        fail("job-one-at-a-time", f"The {len(pods)} Pods of Job import ran one after the other.", **evidence)
    if most > 2:
        fail("job-too-many-at-once", f"{most} Pods of Job import were at work at the same time.", **evidence)
