"""The chains of a Job and of a CronJob.

Job: not suspended → its Pods can be created → they work → it has not failed (tries, deadline, policy) → complete.
A Job whose Pods are active, or that tries again, has no fault. A Job that has failed is explained by its last Pod.

CronJob: not suspended → its active runs work → it ran when it was due → its last run succeeded.
A CronJob whose time has not come has no fault.

Sources: https://kubernetes.io/docs/concepts/workloads/controllers/job/,
https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ and the condition reasons of
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, NoReturn

from checker.diagnosis.containers import container_spec, last_line
from checker.diagnosis.cron import Schedule, read_schedule
from checker.diagnosis.pod import walk_pod
from checker.diagnosis.resources import explain_refusal
from checker.model.durations import TIME_FOR_CRONJOB_CONTROLLER, TIME_FOR_LAST_CONTAINER
from checker.model.fault import Failed, Fault, fail
from checker.model.state import Object, State, parse_time

BY_HAND = "cronjob.kubernetes.io/instantiate"  # annotation of a Job made by `kubectl create job --from`
# Reasons of a CronJob's events that say why no run started.
_WHY_NOT = ("MissSchedule", "FailedCreate", "UnknownTimeZone", "UnparseableSchedule", "TooManyMissedTimes")
_GAVE_UP = {"BackoffLimitExceeded", "MaxFailedIndexesExceeded", "FailedIndexes"}
# Causes that say only that a process ended. A Job tries again after these, so they are not its root.
# A Job that tries again is a fault as soon as this number of tries has failed.
FAILED_TRIES = 3
_JUST_ENDED = {"container-crashes", "container-ends"}


# -- Jobs ------------------------------------------------------------------------------------------------------------


def is_complete(job: Object) -> bool:
    """Whether a Job is complete."""
    return job.condition("Complete").get("status") == "True"


def failure(job: Object) -> dict[str, Any]:
    """The condition that says that a Job has failed or is about to fail; empty for any other Job."""
    return next((c for kind in ("Failed", "FailureTarget") if (c := job.condition(kind)).get("status") == "True"), {})


def is_finished(job: Object) -> bool:
    """Whether a Job is complete or has failed."""
    return is_complete(job) or bool(failure(job))


def walk_job(state: State, job: Object) -> None:
    """Return when a Job is complete, or active without a fault. Raises Failed with the first broken link."""
    if job.is_terminating:
        fail("object-being-deleted", job, in_progress=True)
    if is_complete(job) or job.condition("SuccessCriteriaMet").get("status") == "True":
        return
    if failure(job):
        _explain_failure(state, job, failure(job))
    if job.spec.get("suspend"):
        fail("job-suspended", job)
    if job.spec.get("parallelism", 1) == 0:
        fail("job-suspended", job, form="parallelism")
    pods = [pod for pod in state.owned("Pod", job) if not pod.is_terminating]
    if not pods:
        _explain_creation(state, job)
    try:
        _walk_active(state, job, pods)
    except Failed as end:
        _explain_older_run(state, job, end.fault)
        raise


def require_complete(state: State, job: Object) -> None:
    """Return when a Job is complete. Raises Failed with the first broken link; in progress while the Job is active."""
    walk_job(state, job)
    if not is_complete(job):
        fail("job-running", job, in_progress=True, failed=tries_failed(state, job) or None, **_done(job))


def tries_failed(state: State, job: Object) -> int:
    """How many tries of a Job failed: failed Pods, and (with restartPolicy OnFailure) restarts of containers.

    The status of the Job also counts Pods that are deleted. The Pods also count where a podFailurePolicy ignores them.
    """
    pods = state.owned("Pod", job)
    restarts: list[int] = [
        status.get("restartCount", 0) for pod in pods for status in pod.status.get("containerStatuses") or []
    ]
    failed = len([pod for pod in pods if pod.status.get("phase") == "Failed"])
    return max(int(job.status.get("failed", 0)), failed) + sum(restarts)


def rule_for(job: Object, code: int) -> str:
    """The action of the first rule in a Job's podFailurePolicy that matches a container's exit code, or Count."""
    for rule in (job.spec.get("podFailurePolicy") or {}).get("rules") or []:
        codes = rule.get("onExitCodes")
        if codes and (code in codes["values"]) == (codes["operator"] == "In"):
            return str(rule["action"])
    return "Count"


def _done(job: Object) -> dict[str, Any]:
    """How many Pods of a Job have succeeded, and how many must."""
    return {"succeeded": job.status.get("succeeded", 0), "completions": job.spec.get("completions") or 1}


def most_at_once(state: State, job: Object) -> int:
    """The largest number of Pods of a Job that ran at the same time, from their startTime to their end."""
    changes: list[tuple[datetime, int]] = []
    for pod in state.owned("Pod", job):
        begin = pod.status.get("startTime")
        ends = [
            ended["finishedAt"]
            for status in pod.status.get("containerStatuses") or []
            if (ended := (status.get("state") or {}).get("terminated")) and ended.get("finishedAt")
        ]
        if begin:
            changes += [(parse_time(begin), 1), (parse_time(max(ends)) if ends else state.now, -1)]
    now, most = 0, 0
    for _, change in sorted(changes):  # of two at the same second, the end comes first
        now += change
        most = max(most, now)
    return most


def _explain_creation(state: State, job: Object) -> None:
    """Raises Failed where the API server refuses the Pods of a Job. Only an event of the Job says so."""
    message = next((event["message"] for event in state.events(job, "FailedCreate")), "")
    if message:
        explain_refusal(state, job, job, message)


def _walk_active(state: State, job: Object, pods: list[Object]) -> None:
    """Raises Failed for a fault of an active Pod that will not go away by itself, or because the Job tries again."""
    _explain_unending(state, job, pods)
    failed = [pod for pod in pods if pod.status.get("phase") == "Failed"]
    active = [pod for pod in pods if pod.status.get("phase") not in ("Failed", "Succeeded")]
    retried: Fault | None = None
    for pod in sorted(active, key=lambda pod: pod.name):
        found = _fault_of(state, pod)
        if not found or found.in_progress:
            continue
        if found.cause not in _JUST_ENDED:
            raise Failed(found.within("job-makes-no-progress", job=job.name))
        retried = retried or found
    if failed and not active:
        retried = _fault_of(state, max(failed, key=lambda pod: pod.created))
    if retried:
        fail(
            "job-retrying",
            retried.object,
            form="pod",
            in_progress=True,
            job=job.name,
            failed=tries_failed(state, job),
            last=retried,
            command=retried.words().look,
        )


OLDER_RUN = "cronjob-older-run-stays"
# The fields of a container that are compared, to tell whether two templates start the same.
_COMPARED = ("name", "image", "command", "args", "env", "envFrom", "volumeMounts")


def _explain_older_run(state: State, job: Object, fault: Fault) -> None:
    """Raises Failed where a run of a CronJob has a fault, and the CronJob's template has been changed since.

    The CronJob controller does not update a Job that exists. With concurrencyPolicy Forbid no run starts beside it.

    Source: https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#modifying-a-cronjob
    """
    cron_job = state.controller_of(job, ("CronJob",))
    if not cron_job or is_by_hand(job) or fault.in_progress:
        return
    newest, own = _started((cron_job.spec.get("jobTemplate") or {}).get("spec") or {}), _started(job.spec)
    if newest and own and newest != own:
        form = "forbid" if cron_job.spec.get("concurrencyPolicy") == "Forbid" else ""
        fail(OLDER_RUN, job, form=form, cronjob=cron_job.name, last=fault)


def _started(spec: dict[str, Any]) -> list[Any]:
    """What the template of a Job's spec starts: of each container the fields that are compared, and the volumes."""
    pod_spec = (spec.get("template") or {}).get("spec") or {}
    containers = [*(pod_spec.get("initContainers") or []), *(pod_spec.get("containers") or [])]
    compared = [{key: one[key] for key in _COMPARED if key in one} for one in containers]
    return [*compared, pod_spec.get("volumes")] if containers else []


# A command that is written to go on for ever.
_FOR_EVER = re.compile(r"while (?:true|:|1|True)|sleep (?:inf|infinity|\d{4,})|tail -[fF]|for \(\(;;\)\)")


def _explain_unending(state: State, job: Object, pods: list[Object]) -> None:
    """Raises Failed where a container of a Job's Pod has done its work, and another one keeps the Pod from its end.

    It counts where this container is written to go on for ever, or has written no log line for a while.

    Source: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#sidecar-containers-and-jobs
    """
    for pod in pods:
        statuses = pod.status.get("containerStatuses") or []
        ends = [(s.get("state") or {}).get("terminated") for s in statuses]
        done = [s["name"] for s, end in zip(statuses, ends, strict=True) if end and end.get("exitCode") == 0]
        since = [end["finishedAt"] for end in ends if end and end.get("exitCode") == 0 and end.get("finishedAt")]
        running = [s["name"] for s in statuses if "running" in (s.get("state") or {})]
        if not since or not running or len(done) + len(running) < len(statuses):
            continue
        age = state.age(max(since))
        specs = [container_spec(pod, name) for name in running]
        commands = [" ".join([*(c.get("command") or []), *(c.get("args") or [])]) for c in specs]
        silent = all(state.log_if_read(pod.name, name) == "" for name in running)
        if age > TIME_FOR_LAST_CONTAINER and (silent or any(_FOR_EVER.search(command) for command in commands)):
            fail(
                "job-container-never-ends",
                job,
                pod=pod.name,
                done=done,
                running=running,
                seconds=round(age),
                **_done(job),
            )


def _fault_of(state: State, pod: Object) -> Fault | None:
    """The fault of a Pod of a Job; None where it has none."""
    try:
        walk_pod(state, pod)
    except Failed as end:
        return end.fault
    return None


def _restart_policy(job: Object) -> str:
    pod_spec = (job.spec.get("template") or {}).get("spec") or {}
    return str(pod_spec.get("restartPolicy", ""))


def _explain_failure(state: State, job: Object, condition: dict[str, Any]) -> NoReturn:
    """Raise Failed with the reason why a Job has failed: its own limit, or the fault of its last Pod."""
    reason, message = condition.get("reason", ""), condition.get("message", "")
    failed = [pod for pod in state.owned("Pod", job) if pod.status.get("phase") == "Failed" and not pod.is_terminating]
    last = _fault_of(state, max(failed, key=lambda pod: (pod.created, pod.name))) if failed else None
    if last and last.cause not in _JUST_ENDED:
        raise Failed(last.within("job-has-failed", job=job.name, reason=reason))
    if reason == "DeadlineExceeded":
        fail("job-deadline", job, deadline=job.spec.get("activeDeadlineSeconds"), last=last, **_done(job))
    facts: dict[str, Any] = {**_done(job), "reason": reason, "quote": message, "last": last}
    # With restartPolicy OnFailure the Pods of a Job that fails are deleted; their logs go with them.
    facts["restart_policy"] = "OnFailure" if not failed and _restart_policy(job) == "OnFailure" else ""
    facts["command"] = last.words().look if last else ""
    form = "pod" if last else ""
    if reason == "PodFailurePolicy":
        fail("job-pod-failure-policy", job, form=form, **facts)
    if reason in _GAVE_UP:
        per_index = job.spec.get("backoffLimitPerIndex")
        if reason == "BackoffLimitExceeded" or per_index is None:
            facts |= {"field": "backoffLimit", "limit": job.spec.get("backoffLimit", 6)}
        else:
            facts |= {"field": "backoffLimitPerIndex", "limit": per_index}
        fail("job-backoff-limit", job, form=form, failed=job.status.get("failed", 0), **facts)
    fail("job-failed", job, form=form, **facts)


# A CronJob's run goes on for too long when this number of later runs has been skipped. More than the second number are
# not counted.
OFTEN_SKIPPED, MANY_SKIPPED = 2, 100

# -- CronJobs --------------------------------------------------------------------------------------------------------


def schedule_of(cron_job: Object) -> Schedule | None:
    """The schedule of a CronJob, or None where it cannot be read."""
    return read_schedule(cron_job.spec.get("schedule", ""), cron_job.spec.get("timeZone") or "")


def runs(state: State, cron_job: Object) -> list[Object]:
    """The existing Jobs of a CronJob's scheduled runs, newest first."""
    return _newest_first([job for job in state.owned("Job", cron_job) if not is_by_hand(job)])


def trials(state: State, cron_job: Object) -> list[Object]:
    """The Jobs that were created from a CronJob by hand, newest first. They are no runs of its schedule."""
    return _newest_first([job for job in state.owned("Job", cron_job) if is_by_hand(job)])


def _newest_first(jobs: list[Object]) -> list[Object]:
    return sorted(jobs, key=lambda job: (job.created, job.name), reverse=True)


def is_by_hand(job: Object) -> bool:
    """Whether a CronJob's Job was created by hand.

    The CronJob controller counts it like its own Jobs: for the history, and for lastSuccessfulTime. (An older kubectl
    does not make the CronJob the controller of the Job.)
    """
    return BY_HAND in job.annotations or not job.controller


def walk_cron_job(state: State, cron_job: Object) -> None:
    """Return when a CronJob has no fault, or its time has not come yet. Raises Failed with the first broken link."""
    if cron_job.is_terminating:
        fail("object-being-deleted", cron_job, in_progress=True)
    if cron_job.spec.get("suspend"):
        fail("cronjob-suspended", cron_job, by_hand=[job.name for job in trials(state, cron_job)])
    schedule = schedule_of(cron_job)
    if schedule and not schedule.after(state.now):
        fail("cronjob-never-due", cron_job, schedule=cron_job.spec.get("schedule", ""))
    seen = runs(state, cron_job)
    active = [job for job in seen if not is_finished(job)]
    finished = [job for job in seen if is_finished(job)]
    for job in active:
        try:
            _walk_run(state, cron_job, job)
        except Failed as end:
            if end.fault.in_progress:
                _explain_skipped(state, cron_job, job, schedule)
            raise
        _explain_skipped(state, cron_job, job, schedule)
    _require_in_time(state, cron_job, bool(active))
    if finished:
        _walk_run(state, cron_job, finished[0])
    _explain_vanished(state, cron_job, seen)


def has_run(state: State, cron_job: Object) -> bool:
    """Whether a scheduled run of a CronJob has succeeded, even if its Job no longer exists.

    A Job that was created by hand does not count. Without a lastScheduleTime the CronJob has had no run of its own.
    """
    scheduled = bool(cron_job.status.get("lastScheduleTime"))
    return (scheduled and any(is_complete(job) for job in runs(state, cron_job))) or _ended_well(state, cron_job)


def _ended_well(state: State, cron_job: Object) -> bool:
    """Whether the last scheduled run succeeded, by lastScheduleTime and lastSuccessfulTime of the CronJob.

    Not where lastSuccessfulTime is that of a Job that was created by hand.
    """
    last, well = cron_job.status.get("lastScheduleTime"), cron_job.status.get("lastSuccessfulTime")
    by_hand = {job.status.get("completionTime") for job in trials(state, cron_job)}
    return bool(last and well and well not in by_hand and parse_time(well) >= parse_time(last))


def _walk_run(state: State, cron_job: Object, job: Object) -> None:
    try:
        walk_job(state, job)
    except Failed as end:
        if end.fault.cause == OLDER_RUN:
            raise
        raise Failed(end.fault.within("run-of-cronjob", cronjob=cron_job.name)) from end


def _require_in_time(state: State, cron_job: Object, is_active: bool) -> None:
    """Raises Failed where a CronJob missed its last time. While a run is active, a policy may skip the next run."""
    schedule = schedule_of(cron_job)
    last = cron_job.status.get("lastScheduleTime")
    since = parse_time(last) if last else cron_job.created
    due = schedule.before(state.now - timedelta(seconds=TIME_FOR_CRONJOB_CONTROLLER), since) if schedule else None
    if not due or is_active:
        return
    refused = next((e["message"] for e in state.events(cron_job, "FailedCreate")), "")
    if "forbidden" in refused or "exceeded quota" in refused:
        explain_refusal(state, cron_job, cron_job, refused)
    late = state.age(due)
    deadline = cron_job.spec.get("startingDeadlineSeconds")
    fail(
        "cronjob-missed",
        cron_job,
        late=round(late),
        deadline=deadline if deadline is not None and late > deadline else None,
        due=f"{due:%H:%M:%S}",
        last=f"{since:%H:%M:%S}" if last else "",
        quote=next((e["message"] for reason in _WHY_NOT for e in state.events(cron_job, reason)), ""),
    )


def _explain_skipped(state: State, cron_job: Object, job: Object, schedule: Schedule | None) -> None:
    """Raises Failed where a run goes on for so long that the controller has skipped several later runs.

    Source: https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#concurrency-policy
    """
    if cron_job.spec.get("concurrencyPolicy") != "Forbid" or not schedule:
        return
    since, end = job.created, state.now - timedelta(seconds=TIME_FOR_CRONJOB_CONTROLLER)
    skipped = 0
    while skipped < MANY_SKIPPED and (due := schedule.after(since)) and due <= end:
        skipped, since = skipped + 1, due
    if skipped >= OFTEN_SKIPPED:
        minutes, many = round(state.age(job.created) / 60), "at least" if skipped == MANY_SKIPPED else ""
        own = {"job": job.name, "minutes": minutes, "skipped": skipped, "many": many}
        fail("cronjob-run-goes-on", cron_job, **own, **_last_words(state, job))


def _last_words(state: State, job: Object) -> dict[str, str]:
    """The container of a Job that still runs, and the last line of its log.

    Both are empty where it has logged nothing, and where its last line was not read.
    """
    for pod in state.owned("Pod", job):
        for status in pod.container_statuses:
            line = last_line(state.log_if_read(pod.name, status["name"]) or state.whole_log(pod.name, status["name"]))
            if line and "running" in (status.get("state") or {}):
                return {"container": status["name"], "quote": line}
    return {"container": "", "quote": ""}


def _explain_vanished(state: State, cron_job: Object, seen: list[Object]) -> None:
    """Raises Failed for a last run that did not succeed and whose Job no longer exists, by the times of the CronJob."""
    last, well = cron_job.status.get("lastScheduleTime"), cron_job.status.get("lastSuccessfulTime")
    if not last or cron_job.status.get("active") or _ended_well(state, cron_job):
        return
    if any(job.created >= parse_time(last) for job in seen):
        return
    ago = state.age(last)
    fail("cronjob-run-failed", cron_job, in_progress=ago < TIME_FOR_CRONJOB_CONTROLLER, ago=round(ago), succeeded=well)
