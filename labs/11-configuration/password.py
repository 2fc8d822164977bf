"""The password comes from the Secret, arrives unchanged, and is in no ConfigMap and no Deployment."""

import base64
from collections.abc import Iterator
from typing import Any

from checker.sdk import Object, Ref, State, fail, source_of_file, source_of_variable, task

from .greeting import require_source
from .inside import COMPARED, FILE, PASSWORD, SECRET, VARIABLE, answers_of, app_container, working_pods


@task("password", observe=COMPARED)
def password_arrives(state: State, observed: dict[str, Any]) -> None:
    fail_if_in_the_open(state)
    for refusal in state.refusals:
        if refusal["kind"] == "Secret" and refusal["name"] in (SECRET, "") and "base64" in refusal["message"]:
            wanted = Ref("Secret", SECRET, state.namespace)
            fail("secret-not-base64", wanted, file=refusal["file"], reason=refusal["message"])
    state.require("Secret", SECRET)
    for pod in working_pods(state, state.require("Deployment", "guestbook")):
        container = app_container(pod)
        require_source(state, pod, source_of_variable(state, pod, container, VARIABLE), VARIABLE, "Secret", SECRET)
        require_source(state, pod, source_of_file(state, pod, container, FILE), FILE, "Secret", SECRET)
        seen = answers_of(observed, pod)
        require_equal(pod, {"path": FILE, "variable": None}, seen["file"], of_file=seen["file"])
        require_equal(pod, {"path": None, "variable": VARIABLE}, seen["variable"], of_file=seen["file"])


def fail_if_in_the_open(state: State) -> None:
    """Raise Failed where a ConfigMap or a Deployment holds the password."""
    spellings = (PASSWORD, base64.b64encode(PASSWORD.encode()).decode().rstrip("="))
    for config_map in state.all("ConfigMap"):
        binary = {
            key: base64.b64decode(text).decode(errors="replace")
            for key, text in (config_map.raw.get("binaryData") or {}).items()
        }
        for key, text in {**(config_map.raw.get("data") or {}), **binary}.items():
            if any(spelling in text for spelling in spellings):
                fail("secret-in-config-map", config_map, key=key)
        for path, text in texts_in(config_map.annotations, "metadata.annotations"):
            if any(spelling in text for spelling in spellings):
                fail("secret-in-config-map", config_map, form="field", path=path)
    for workload in state.all("Deployment"):
        for container in workload.containers:
            values = [variable.get("value", "") for variable in container.get("env") or []]
            written = [*values, *(container.get("command") or []), *(container.get("args") or [])]
            if any(spelling in text for text in written for spelling in spellings):
                fail("secret-in-manifest", workload, form="container", container=container["name"])
        for path, text in [*texts_in(workload.annotations, "metadata.annotations"), *texts_in(workload.spec, "spec")]:
            if any(spelling in text for spelling in spellings):
                fail("secret-in-manifest", workload, path=path)


def texts_in(data: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text in some data: (path, text)."""
    if isinstance(data, str):
        yield path, data
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from texts_in(value, f"{path}.{key}" if isinstance(data, dict) else f"{path}[{key}]")


def require_equal(pod: Object, where: dict[str, Any], seen: dict[str, Any], of_file: dict[str, Any]) -> None:
    """Return if a Pod has the password there, character for character. Raises Failed otherwise.

    where: {"path", "variable"}, one of them None. seen: the comparison at that place; of_file: the one of the file.
    """
    container = app_container(pod)["name"]
    if not seen["there"] and where["path"]:
        fail("file-not-in-volume", pod, form="unreadable", container=container, path=FILE)
    if not seen["there"]:
        fail("variable-missing", pod, form="not-set", container=container, variable=VARIABLE)
    if seen["is"] == "equal":
        return
    lengths = {"length": seen["length"], "wanted": len(PASSWORD)}
    if where["variable"] and of_file.get("is") == "equal":
        fail("environment-not-refreshed", pod, form="password", path=FILE, variable=VARIABLE, **lengths)
    if seen["is"] == "blank":
        fail("secret-blank", pod, **where, **lengths)
    if seen["is"] == "encoded":
        fail("secret-base64-twice", pod, **where, **lengths)
    fail("value-wrong", pod, form="password", **where, **lengths)
