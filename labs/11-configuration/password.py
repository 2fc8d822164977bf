"""The password comes from the Secret, arrives as it is, and stands nowhere in the open."""

import base64
from collections.abc import Iterator
from typing import Any

from checker.sdk import Object, State, fail, source_of_file, source_of_variable, task

from .asked import COMPARED, FILE, PASSWORD, SECRET, VARIABLE, answers_of, app_container, working_pods
from .greeting import require_source


@task("password", observe=COMPARED)
def password_arrives(state: State, asked: dict[str, Any]) -> None:
    fail_if_in_the_open(state)
    for refusal in state.refusals:
        if refusal["kind"] == "Secret" and refusal["name"] in (SECRET, "") and "base64" in refusal["message"]:
            fail("secret-not-base64", f"There is no Secret {SECRET}. Your file {refusal['file']} is refused: {refusal['message']}",
                 expected="base64 under data", observed="text that is not base64", object=f"Secret/{SECRET}",
                 look=f"kubectl apply --dry-run=server -f FOLDER/{refusal['file']}")  # fmt: skip
    state.require("Secret", SECRET)
    for pod in working_pods(state, state.require("Deployment", "guestbook")):
        container = app_container(pod)
        require_source(state, pod, source_of_variable(state, pod, container, VARIABLE), VARIABLE, "Secret", SECRET)
        require_source(state, pod, source_of_file(state, pod, container, FILE), FILE, "Secret", SECRET)
        seen = answers_of(asked, pod)
        for which, what in (("file", FILE), ("variable", VARIABLE)):
            require_equal(pod, what, seen[which], of_file=seen["file"])


def fail_if_in_the_open(state: State) -> None:
    """The password stands where anybody may read it: in a ConfigMap, or in a Deployment."""
    spellings = (PASSWORD, base64.b64encode(PASSWORD.encode()).decode().rstrip("="))
    for config_map in state.all("ConfigMap"):
        binary = {
            key: base64.b64decode(text).decode(errors="replace")
            for key, text in (config_map.raw.get("binaryData") or {}).items()
        }
        for key, text in {**(config_map.raw.get("data") or {}), **binary}.items():
            if any(spelling in text for spelling in spellings):
                fail("secret-in-config-map", f"The password stands in ConfigMap {config_map.name}, under key {key}.",
                     expected="the password in a Secret only", observed=f"ConfigMap {config_map.name}, key {key}", object=config_map.ref,
                     look=f"kubectl get configmap {config_map.name} -o yaml")  # fmt: skip
    for workload in state.all("Deployment"):
        for container in workload.containers:
            written = [v.get("value", "") for v in container.get("env") or []] + [
                *(container.get("command") or []),
                *(container.get("args") or []),
            ]
            if any(spelling in text for text in written for spelling in spellings):
                fail("secret-in-manifest", f"The password is written down at container {container['name']} of {workload.kind} {workload.name}.",
                     expected="the password in a Secret only", observed=f"in {workload.kind} {workload.name}", object=workload.ref,
                     look=f"kubectl get {workload.kind.lower()} {workload.name} -o yaml")  # fmt: skip
        for path, text in [*texts_in(workload.annotations, "metadata.annotations"), *texts_in(workload.spec, "spec")]:
            if any(spelling in text for spelling in spellings):
                fail("secret-in-manifest", f"The password stands in {path} of {workload.kind} {workload.name}.",
                     expected="the password in a Secret only", observed=f"in {workload.kind} {workload.name}", object=workload.ref,
                     look=f"kubectl get {workload.kind.lower()} {workload.name} -o yaml")  # fmt: skip


def texts_in(data: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text in some data, with where it stands."""
    if isinstance(data, str):
        yield path, data
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from texts_in(value, f"{path}.{key}" if isinstance(data, dict) else f"{path}[{key}]")


def require_equal(pod: Object, what: str, seen: dict[str, Any], of_file: dict[str, Any]) -> None:
    """What arrived is the password, character for character."""
    is_file = what.startswith("/")
    evidence = {
        "expected": f"the password, {len(PASSWORD)} characters", "object": pod.ref,
        "look": f"kubectl exec {pod.name} -- " + (f"wc -c {what}" if is_file else f"printenv {what}"),
    }  # fmt: skip
    where = f"{'file' if is_file else 'variable'} {what}"
    if not seen["there"]:
        fail(
            "file-not-in-volume" if is_file else "variable-missing",
            f"Pod {pod.name} has no {where} that can be read.",
            observed="nothing",
            **evidence,
        )
    count = f"{seen['length']} characters"
    if seen["is"] == "equal":
        return
    if not is_file and of_file.get("is") == "equal":
        fail("environment-not-refreshed", f"In Pod {pod.name} the file {FILE} has the password, but the {where} still has what the Secret had when the container was started.",
             observed=f"another value, {count}", **evidence)  # fmt: skip
    if seen["is"] == "blank":
        fail("secret-blank", f"In Pod {pod.name} the {where} has the password and white space around it: {count} rather than {len(PASSWORD)}.",
             observed=count, **evidence)  # fmt: skip
    if seen["is"] == "encoded":
        fail("secret-base64-twice", f"In Pod {pod.name} the {where} has the password in base64: {count} rather than {len(PASSWORD)}.",
             observed=f"{count}, in base64", **evidence)  # fmt: skip
    fail(
        "value-wrong",
        f"In Pod {pod.name} the {where} has another value than the password: {count}.",
        observed=count,
        **evidence,
    )
