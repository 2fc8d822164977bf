"""Grading of lab NUMBER: one function for each task of lab.yaml.

A function returns where the task is passed; otherwise it ends with fail(…) or unknown(…).
It may import checker.sdk and the modules in this folder. docs/writing-a-lab.md lists the observations and the
questions.
"""

from checker.sdk import Answers, Http, State, fail, task

THROUGH_THE_SERVICE = Http("guestbook", "/hostname", times=10)


@task("answers", observe=THROUGH_THE_SERVICE)
def guestbook_answers(state: State, answers: Answers) -> None:
    service = state.require("Service", "guestbook")  # explains why it is missing
    state.require_answers(service, answers)  # walks the chain that makes it work, and names the first broken link
    others = answers.hosts - {pod.name for pod in state.pods_of(state.require("Deployment", "guestbook"))}
    if others:
        # The sentence of this fault is in causes.yaml: form `this-lab` of the course's cause.
        fail("service-answers-wrong", service, form="this-lab", others=sorted(others))
