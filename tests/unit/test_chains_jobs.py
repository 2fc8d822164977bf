"""Jobs and CronJobs: for every cause that their chains can name, a small world that has that fault alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checker.diagnosis import pods_of
from checker.diagnosis.cron import read_schedule
from checker.diagnosis.job import (
    BY_HAND,
    has_run,
    is_by_hand,
    most_at_once,
    require_complete,
    rule_for,
    runs,
    trials,
    tries_failed,
)
from checker.model.state import Object
from checker.model.verdict import Failed, NotPassed
from checker.sdk import State

from .objects import ago, container, event, node, obj, pod, state


def broken(world: State, kind: str, name: str) -> tuple[str, bool]:
    found = world.find(kind, name)
    assert found
    try:
        world.require_working(found)
    except NotPassed as end:
        assert end.message, end.cause
        assert "None" not in end.message
        return end.cause, end.in_progress
    return "", False


def condition(kind: str, reason: str = "", message: str = "") -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": "True", "reason": reason, "message": message}]}


def job(
    name: str = "import",
    owner: Object | None = None,
    age: float = 60,
    metadata: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    **status: Any,
) -> Object:
    template = {"spec": {"restartPolicy": "Never", "containers": [container()]}}
    return obj(
        "Job",
        name,
        owner=owner,
        age=age,
        metadata=metadata or {},
        spec={"completions": 1, "parallelism": 1, "template": template, **(spec or {})},
        status={"startTime": ago(age), **status},
    )


def tried(
    owner: Object, code: int, name: str = "import-1", reason: str = "Error", message: str = "", **more: Any
) -> Object:
    """A Pod of a Job that has ended, with restartPolicy Never."""
    end = {"exitCode": code, "reason": reason, "message": message, "startedAt": ago(20), "finishedAt": ago(10)}
    made = pod(
        name,
        owner=owner,
        ready=False,
        container_state={"terminated": end},
        phase="Succeeded" if code == 0 else "Failed",
        **more,
    )
    made.spec["restartPolicy"] = "Never"
    return made


def backing_off(owner: Object) -> Object:
    """A Pod of a Job whose container waits to be started again, with restartPolicy OnFailure."""
    made = pod(
        "import-1",
        owner=owner,
        ready=False,
        restarts=2,
        container_state={"waiting": {"reason": "CrashLoopBackOff"}},
        last={"exitCode": 75},
    )
    made.spec["restartPolicy"] = "OnFailure"
    return made


def pulling(owner: Object) -> Object:
    return pod(
        "import-1",
        owner=owner,
        ready=False,
        containers=[container(image="guestbok:v1")],
        container_state={"waiting": {"reason": "ErrImagePull"}},
    )


def with_pods(top: Object, *make: Callable[[Object], Object]) -> State:
    return state(top, *(one(top) for one in make), node())


def gave_up(reason: str = "BackoffLimitExceeded", **spec: Any) -> Object:
    return job(
        spec={"backoffLimit": 0, **spec},
        failed=1,
        **condition("Failed", reason, "Job has reached the specified backoff limit"),
    )


JOB_WORLDS: dict[str, tuple[str, bool, Callable[[], State]]] = {
    "it is complete": ("", False, lambda: with_pods(job(succeeded=1, **condition("Complete")), lambda j: tried(j, 0))),
    "complete, with tries that failed": (
        "",
        False,
        lambda: with_pods(
            job(succeeded=1, failed=1, **condition("Complete")),
            lambda j: tried(j, 1),
            lambda j: tried(j, 0, "import-2"),
        ),
    ),
    "complete, and its Pods are gone": ("", False, lambda: state(job(succeeded=1, **condition("Complete")))),
    "its success policy is met": ("", False, lambda: state(job(**condition("SuccessCriteriaMet", "SuccessPolicy")))),
    "it is at work": ("", False, lambda: with_pods(job(active=1), lambda j: pod("import-1", owner=j, since=1))),
    "it was made a moment ago": ("", False, lambda: state(job(age=0))),
    "its Pod is being made": (
        "",
        False,
        lambda: with_pods(
            job(active=1),
            lambda j: pod(
                "import-1", owner=j, ready=False, container_state={"waiting": {"reason": "ContainerCreating"}}
            ),
        ),
    ),
    "one try failed, the next is at work": (
        "",
        False,
        lambda: with_pods(job(active=1, failed=1), lambda j: tried(j, 1), lambda j: pod("import-2", owner=j)),
    ),
    "it is suspended": (
        "job-suspended",
        False,
        lambda: state(job(spec={"suspend": True}, **condition("Suspended", "JobSuspended"))),
    ),
    "no Pod at a time": ("job-suspended", False, lambda: state(job(spec={"parallelism": 0}))),
    "it is on its way out": ("object-being-deleted", True, lambda: state(job(metadata={"deletionTimestamp": ago(1)}))),
    "the quota is used up": (
        "quota-exceeded",
        False,
        lambda: (
            lambda j: state(
                j, event(j, "FailedCreate", 'Error creating: pods "import-x" is forbidden: exceeded quota: few')
            )
        )(job()),
    ),
    "a rule forbids its Pods": (
        "admission-refused",
        False,
        lambda: (
            lambda j: state(
                j, event(j, "FailedCreate", 'Error creating: pods "import-x" is forbidden: violates PodSecurity')
            )
        )(job()),
    ),
    "its image does not exist": ("image-name-typo", False, lambda: with_pods(job(active=1), pulling)),
    "it waits for the next try": ("job-retrying", True, lambda: with_pods(job(failed=1), lambda j: tried(j, 75))),
    "its container waits for the next try": ("job-retrying", True, lambda: with_pods(job(active=1), backing_off)),
    "it has given up": ("job-backoff-limit", False, lambda: with_pods(gave_up(), lambda j: tried(j, 75))),
    "it is about to give up": (
        "job-backoff-limit",
        False,
        lambda: with_pods(job(failed=1, **condition("FailureTarget", "BackoffLimitExceeded")), lambda j: tried(j, 75)),
    ),
    "it has given up, and nothing is left": (
        "job-backoff-limit",
        False,
        lambda: state(gave_up(template={"spec": {"restartPolicy": "OnFailure"}})),
    ),
    "a number of its Pods has given up": (
        "job-backoff-limit",
        False,
        lambda: with_pods(gave_up("FailedIndexes", backoffLimitPerIndex=0), lambda j: tried(j, 75)),
    ),
    "too many numbers have given up": (
        "job-backoff-limit",
        False,
        lambda: with_pods(gave_up("MaxFailedIndexesExceeded", backoffLimitPerIndex=0), lambda j: tried(j, 75)),
    ),
    "it has given up on a command that does not exist": (
        "command-not-runnable",
        False,
        lambda: with_pods(
            gave_up(),
            lambda j: tried(j, 128, reason="StartError", message='exec: "pyhton3": executable file not found in $PATH'),
        ),
    ),
    "it has given up on too little memory": (
        "container-oom-killed",
        False,
        lambda: with_pods(gave_up(), lambda j: tried(j, 137, reason="OOMKilled")),
    ),
    "it ran out of time": (
        "job-deadline",
        False,
        lambda: state(job(spec={"activeDeadlineSeconds": 5}, **condition("Failed", "DeadlineExceeded"))),
    ),
    "a rule ended it": (
        "job-pod-failure-policy",
        False,
        lambda: with_pods(
            job(failed=1, **condition("Failed", "PodFailurePolicy", "exit code 75 matching FailJob rule at index 0")),
            lambda j: tried(j, 75),
        ),
    ),
    "another reason": ("job-failed", False, lambda: state(job(**condition("Failed", "PodsEvictedByAnAlien")))),
}


@pytest.mark.parametrize("cause, pending, world", JOB_WORLDS.values(), ids=list(JOB_WORLDS))
def test_job_chain(cause: str, pending: bool, world: Callable[[], State]) -> None:
    assert broken(world(), "Job", "import") == (cause, pending)


def test_a_job_that_gave_up_says_what_its_last_pod_said_and_where_its_log_is() -> None:
    top = gave_up()
    world = state(top, tried(top, 75), logs={"import-1/app": "box 1 is in the cellar\n"})
    with pytest.raises(Failed) as end:
        world.require_working(top)
    assert (end.value.facts["field"], end.value.facts["limit"]) == ("backoffLimit", 0)
    assert "box 1 is in the cellar" in end.value.message
    assert end.value.words.look == "kubectl logs import-1 -c app"
    assert "restarts" not in end.value.words.observed


def test_a_job_at_work_is_not_complete_yet() -> None:
    top = job(spec={"completions": 4}, succeeded=3, active=1)
    world = state(top, pod("import-1", owner=top))
    with pytest.raises(Failed) as end:
        require_complete(world, top)
    assert (end.value.cause, end.value.in_progress) == ("job-running", True)
    assert "3 of 4 completions" in end.value.message


def test_failed_tries_are_failed_pods_and_containers_that_were_started_again() -> None:
    top = job(failed=2)
    assert tries_failed(state(top, pod("import-1", owner=top, restarts=3)), top) == 5


def test_a_failed_pod_that_the_job_does_not_count_is_a_failed_try() -> None:
    top = job()
    assert tries_failed(state(top, tried(top, 75)), top) == 1


@pytest.mark.parametrize(
    ("codes", "sentence"),
    [
        ({"operator": "In", "values": [75]}, "Ignore"),
        ({"operator": "NotIn", "values": [1, 2]}, "Ignore"),
        ({"operator": "In", "values": [1]}, "FailJob"),
        (None, "FailJob"),
    ],
)
def test_the_first_rule_that_fits_an_exit_code_counts(codes: dict[str, Any] | None, sentence: str) -> None:
    first = {"action": "Ignore", "onExitCodes": codes} if codes else {"action": "Count", "onPodConditions": []}
    second = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [75]}}
    assert rule_for(job(spec={"podFailurePolicy": {"rules": [first, second]}}), 75) == sentence
    assert rule_for(job(), 75) == "Count"


def test_a_job_at_work_says_how_many_tries_failed() -> None:
    top = job(spec={"completions": 4}, succeeded=3, active=1, failed=1)
    with pytest.raises(Failed) as end:
        require_complete(state(top, pod("import-1", owner=top)), top)
    assert end.value.facts == {"succeeded": 3, "completions": 4, "failed": 1}
    assert end.value.message.endswith("So far 1 try has failed.")


def test_how_many_pods_were_at_work_at_the_same_time() -> None:
    top = job()

    def ran(name: str, begin: float, end: float | None) -> Object:
        made = tried(top, 0, name) if end is not None else pod(name, owner=top)
        made.status["startTime"] = ago(begin)
        if end is not None:
            made.status["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = ago(end)
        return made

    one_by_one = state(top, ran("a", 30, 20), ran("b", 20, 10), ran("c", 10, None))
    assert most_at_once(one_by_one, top) == 1
    assert most_at_once(state(top, ran("a", 30, 20), ran("b", 25, 10), ran("c", 15, None)), top) == 2
    assert most_at_once(state(top), top) == 0


# -- CronJobs ----------------------------------------------------------------------------------------------------------
# NOW is 2026-01-01 12:00:00 UTC, so a schedule of every minute was due at this very moment.


def cron_job(
    schedule: str = "* * * * *",
    age: float = 300,
    metadata: dict[str, Any] | None = None,
    zone: str = "",
    deadline: int | None = None,
    suspend: bool = False,
    policy: str = "Allow",
    **status: Any,
) -> Object:
    spec = {"schedule": schedule, "suspend": suspend, "concurrencyPolicy": policy, "jobTemplate": {}}
    spec |= {"timeZone": zone} if zone else {}
    spec |= {"startingDeadlineSeconds": deadline} if deadline is not None else {}
    return obj("CronJob", "backup", age=age, metadata=metadata or {}, spec=spec, status=status)


def ran(owner: Object, age: float = 5, **status: Any) -> Object:
    return job(f"backup-{age:.0f}", owner, age, **status)


def with_runs(top: Object, *make: Callable[[Object], Object]) -> State:
    return state(top, *(one(top) for one in make))


WELL, ILL = condition("Complete"), condition("Failed", "BackoffLimitExceeded")
CRON_JOB_WORLDS: dict[str, tuple[str, bool, Callable[[], State]]] = {
    "its last run worked": (
        "",
        False,
        lambda: with_runs(cron_job(lastScheduleTime=ago(60), lastSuccessfulTime=ago(55)), lambda c: ran(c, 60, **WELL)),
    ),
    "its time has not come": ("", False, lambda: state(cron_job("0 0 2 1 *"))),
    "its time has come this very moment": ("", False, lambda: state(cron_job(age=30))),
    "its schedule cannot be read here": ("", False, lambda: state(cron_job("@every 1m"))),
    "a run is at work": (
        "",
        False,
        lambda: with_runs(cron_job(age=400, lastScheduleTime=ago(240)), lambda c: ran(c, 240)),
    ),
    "an earlier run failed, the last one worked": (
        "",
        False,
        lambda: with_runs(
            cron_job(lastScheduleTime=ago(60), lastSuccessfulTime=ago(55)),
            lambda c: ran(c, 120, **ILL),
            lambda c: ran(c, 60, **WELL),
        ),
    ),
    "no Job of its runs is kept": (
        "",
        False,
        lambda: state(cron_job(lastScheduleTime=ago(60), lastSuccessfulTime=ago(55))),
    ),
    "a run made by hand failed": (
        "",
        False,
        lambda: with_runs(
            cron_job("0 0 2 1 *"), lambda c: job("try", c, metadata={"annotations": {BY_HAND: "manual"}}, **ILL)
        ),
    ),
    "it is suspended": ("cronjob-suspended", False, lambda: state(cron_job(suspend=True))),
    "it is on its way out": (
        "object-being-deleted",
        True,
        lambda: state(cron_job(metadata={"deletionTimestamp": ago(1)})),
    ),
    "its last run failed": (
        "job-backoff-limit",
        False,
        lambda: with_runs(cron_job(lastScheduleTime=ago(60)), lambda c: ran(c, 60, **ILL)),
    ),
    "its last run failed, and the next is at work": (
        "job-backoff-limit",
        False,
        lambda: with_runs(cron_job(lastScheduleTime=ago(5)), lambda c: ran(c, 65, **ILL), lambda c: ran(c, 5)),
    ),
    "what runs is suspended": (
        "job-suspended",
        False,
        lambda: with_runs(cron_job(lastScheduleTime=ago(60)), lambda c: ran(c, 60, spec={"suspend": True})),
    ),
    "its last run failed and was not kept": (
        "cronjob-run-failed",
        False,
        lambda: state(cron_job(lastScheduleTime=ago(60), lastSuccessfulTime=ago(115))),
    ),
    "its last run has only just ended": (
        "cronjob-run-failed",
        True,
        lambda: state(cron_job(lastScheduleTime=ago(3), lastSuccessfulTime=ago(55))),
    ),
    "a run goes on, and two later runs have been skipped": (
        "cronjob-run-goes-on",
        False,
        lambda: with_runs(cron_job(policy="Forbid", lastScheduleTime=ago(200)), lambda c: ran(c, 200)),
    ),
    "a run goes on, and one later run has been skipped": (
        "",
        False,
        lambda: with_runs(cron_job(policy="Forbid", lastScheduleTime=ago(120)), lambda c: ran(c, 120)),
    ),
    "it never ran when it was due": ("cronjob-missed", False, lambda: state(cron_job("58 11 * * *"))),
    "it did not run again": (
        "cronjob-missed",
        False,
        lambda: with_runs(
            cron_job("*/2 * * * *", age=900, lastScheduleTime=ago(240), lastSuccessfulTime=ago(235)),
            lambda c: ran(c, 240, **WELL),
        ),
    ),
    "it could not begin in time": ("cronjob-missed", False, lambda: state(cron_job("58 11 * * *", deadline=5))),
    "due by the clocks of another place": (
        "cronjob-missed",
        False,
        lambda: state(cron_job("58 12 * * *", zone="Europe/Oslo")),
    ),
}


@pytest.mark.parametrize("cause, pending, world", CRON_JOB_WORLDS.values(), ids=list(CRON_JOB_WORLDS))
def test_cron_job_chain(cause: str, pending: bool, world: Callable[[], State]) -> None:
    assert broken(world(), "CronJob", "backup") == (cause, pending)


def test_a_missed_run_says_when_it_was_due_and_how_long_it_may_take_to_begin() -> None:
    late = cron_job("58 11 * * *", deadline=5)
    world = state(late, event(late, "MissSchedule", "Missed scheduled time to start a job: 11:58"))
    with pytest.raises(Failed) as end:
        world.require_working(late)
    assert "startingDeadlineSeconds is 5" in end.value.message
    assert "Missed scheduled time" in end.value.message
    assert "11:58:00" in end.value.words.observed


def by_hand(owner: Object, **status: Any) -> Object:
    return job("try", owner, metadata={"annotations": {BY_HAND: "manual"}}, **status)


def test_a_job_made_by_hand_is_no_scheduled_run() -> None:
    top = cron_job()
    scheduled, trial, older = ran(top), by_hand(top), job("older", top)
    older.metadata["ownerReferences"][0]["controller"] = False  # as kubectl made them for some years
    assert [is_by_hand(one) for one in (scheduled, trial, older)] == [False, True, True]
    world = state(top, scheduled, trial, pod("backup-5-x", owner=scheduled), pod("try-x", owner=trial))
    assert (runs(world, top), trials(world, top)) == ([scheduled], [trial])
    assert trials(state(top, older), top) == [older]
    assert [one.name for one in pods_of(world, top)] == ["backup-5-x"]


def test_whether_a_scheduled_run_ended_well() -> None:
    at = {"lastScheduleTime": ago(60), "lastSuccessfulTime": ago(55)}
    never, once, only_tried = cron_job(), cron_job(**at), cron_job(lastSuccessfulTime=ago(5))
    assert not has_run(state(never), never)
    assert has_run(state(once), once)  # its Job is not kept
    assert not has_run(state(only_tried, by_hand(only_tried, completionTime=ago(5), **WELL)), only_tried)
    assert not has_run(state(once, by_hand(once, completionTime=ago(55), **WELL)), once)
    assert has_run(state(once, ran(once, 60, **WELL)), once)
    assert not has_run(state(never, ran(never, 5)), never)
    assert not has_run(state(never, ran(never, 5, **WELL)), never)  # somebody made it, and did not say so


# -- schedules ---------------------------------------------------------------------------------------------------------

MOMENT = datetime(2026, 3, 27, 8, 30, 20, tzinfo=UTC)  # a Friday, two days before Europe's clocks go forward
SCHEDULES = {
    "* * * * *": ("03-27 08:30", "03-27 08:31"),
    "*/20 * * * *": ("03-27 08:20", "03-27 08:40"),
    "10-50/20 * * * *": ("03-27 08:30", "03-27 08:50"),
    "15/20 8 * * *": ("03-27 08:15", "03-27 08:35"),
    "0 6,18 * * *": ("03-27 06:00", "03-27 18:00"),
    "0 9 * * mon-fri": ("03-26 09:00", "03-27 09:00"),
    "0 9 * * SUN": ("03-22 09:00", "03-29 09:00"),
    "0 0 1 * *": ("03-01 00:00", "04-01 00:00"),
    "0 0 1 * tue": ("03-24 00:00", "03-31 00:00"),  # either day is enough
    "0 0 */1 * tue": ("03-24 00:00", "03-31 00:00"),  # a star: Tuesdays only
    "0 0 */10 * fri": ("03-27 00:00", "03-31 00:00"),
    "0 0 ? feb *": ("02-28 00:00", "02-01 00:00"),
    "@hourly": ("03-27 08:00", "03-27 09:00"),
    "@weekly": ("03-22 00:00", "03-29 00:00"),
}


@pytest.mark.parametrize("text", SCHEDULES)
def test_a_schedule_is_read_as_the_controller_reads_it(text: str) -> None:
    schedule = read_schedule(text)
    assert schedule
    before, after = schedule.before(MOMENT, MOMENT - timedelta(days=300)), schedule.after(MOMENT)
    assert before and after
    assert (f"{before:%m-%d %H:%M}", f"{after:%m-%d %H:%M}") == SCHEDULES[text]


@pytest.mark.parametrize(
    "text",
    [
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * * 7",
        "0 0 * * * *",
        "* * *",
        "@every 1m",
        "a * * * *",
        "9-5 * * * *",
        "",
    ],
)
def test_what_is_no_schedule_of_five_fields_is_not_read(text: str) -> None:
    assert read_schedule(text) is None


def test_a_day_that_never_comes_is_never_due() -> None:
    schedule = read_schedule("0 0 30 2 *")
    assert schedule
    assert schedule.after(MOMENT) is None
    assert schedule.before(MOMENT, MOMENT - timedelta(days=400)) is None


def test_nothing_was_due_before_it_was_made() -> None:
    schedule = read_schedule("0 9 * * *")
    assert schedule
    assert schedule.before(MOMENT, MOMENT - timedelta(hours=1)) is None


def test_a_time_zone_moves_the_schedule_with_the_clocks_there() -> None:
    nightly = read_schedule("30 2 * * *", "Europe/Oslo")
    assert nightly
    due = [nightly.after(MOMENT + timedelta(days=n)) for n in range(3)]
    # The night to Sunday has no half past two there: that run is left out.
    assert [f"{one:%m-%d %H:%M}" for one in due if one] == ["03-28 01:30", "03-30 00:30", "03-30 00:30"]
    assert read_schedule("30 2 * * *", "Norway/Oslo") is None


def test_schedules_are_the_same_when_they_are_due_at_the_same_times() -> None:
    night = read_schedule("30 3 * * *", "Europe/Oslo")
    assert night

    def same(text: str, zone: str = "") -> bool:
        other = read_schedule(text, zone)
        return bool(other and other.same_as(night, MOMENT))

    assert same("30 03 */1 * sun-sat", "Arctic/Longyearbyen")
    assert not same("30 3 * * *")
    assert not same("30 2 * * *")  # right in winter only
    assert not same("30 3 * * mon-fri", "Europe/Oslo")


def test_every_minute_has_many_spellings() -> None:
    spellings = ("* * * * *", "*/1 * * * *", "0-59 * ? * *", "* 0-23 1-31 1-12 0-6")
    assert all(schedule and schedule.every_minute() for schedule in map(read_schedule, spellings))
    others = ("*/2 * * * *", "0 * * * *", "* * * * mon-fri")
    assert not any(schedule and schedule.every_minute() for schedule in map(read_schedule, others))


def _template(image: str) -> dict[str, Any]:
    return {"template": {"spec": {"restartPolicy": "Never", "containers": [container(image=image)]}}}


@pytest.mark.parametrize(
    ("image", "policy", "cause", "words"),
    [
        ("guestbook:v1", "Forbid", "cronjob-older-run-stays", "the controller starts no other run before that"),
        ("guestbook:v1", "Allow", "cronjob-older-run-stays", "The run does not end."),
        ("guestbook:v9", "Forbid", "image-not-found", "A run of CronJob backup"),
    ],
)
def test_a_run_from_an_older_template_is_told_as_such(image: str, policy: str, cause: str, words: str) -> None:
    top = cron_job(policy=policy, lastScheduleTime=ago(100))
    top.spec["jobTemplate"] = {"spec": _template(image)}
    run = job("backup-100", top, 100, spec=_template("guestbook:v9"))
    waits = {"waiting": {"reason": "ImagePullBackOff"}}
    below = pod(
        "backup-100-x", owner=run, ready=False, containers=[container(image="guestbook:v9")], container_state=waits
    )
    with pytest.raises(Failed) as end:
        state(top, run, below).require_working(top)
    assert end.value.cause == cause
    assert words in end.value.message
    named = "Job/backup-100" if cause == "cronjob-older-run-stays" else "Pod/backup-100-x"
    assert end.value.object == named
