"""The greeting comes from the ConfigMap: to the guestbook as a file, to the kiosk as a variable."""

import base64
from typing import Any

from checker.sdk import (
    ConfigSource,
    HiddenValue,
    Object,
    State,
    explain_not_in_volume,
    fail,
    keys_of,
    optional_and_missing,
    source_of_file,
    source_of_variable,
    task,
    unknown,
)

from .asked import CONFIG_MAP, GUESTBOOK, KIOSK, answers_of, app_container, greeting_file, working_pods


def require_config_map(state: State) -> Object:
    """The ConfigMap of the lab; where there is a Secret of that name instead, that is said."""
    if not state.find("ConfigMap", CONFIG_MAP) and "Secret" not in state.unlisted and state.find("Secret", CONFIG_MAP):
        fail(
            "config-kind-mixed-up", f"There is no ConfigMap {CONFIG_MAP}, but a Secret of that name.",
            expected=f"ConfigMap {CONFIG_MAP}", observed=f"Secret {CONFIG_MAP}", object=f"ConfigMap/{CONFIG_MAP}", look="kubectl get configmaps,secrets",
        )  # fmt: skip
    return state.require("ConfigMap", CONFIG_MAP)


def value(source: Object, key: str | None) -> str:
    """The value of a ConfigMap's key, as the app would say it: without white space around it."""
    data, binary = source.raw.get("data") or {}, source.raw.get("binaryData") or {}
    text = data[key] if key in data else base64.b64decode(binary.get(key, "")).decode(errors="replace")
    if not text.strip():
        fail("value-malformed", f"Key {key} of ConfigMap {source.name} is empty.", expected="a greeting", observed="nothing", object=source.ref,
             look=f"kubectl describe configmap {source.name}")  # fmt: skip
    return text.strip()


def require_source(
    state: State, pod: Object, source: ConfigSource | None, what: str, kind: str, name: str
) -> ConfigSource:
    """What a container is given comes from that ConfigMap or Secret. what: the variable or the file, for the message."""
    container = app_container(pod)
    evidence = {"expected": f"{what} from {kind} {name}", "object": pod.ref, "look": f"kubectl describe pod {pod.name}"}
    if source is None or (source.kind and source.key is None):
        gaps = optional_and_missing(state, pod, container)
        if gaps:
            raise gaps[0]
    if source is None and what.startswith("/"):
        fail("volume-not-mounted", f"In container {container['name']} of Pod {pod.name} no volume is mounted where {what} is looked for.",
             observed="no volume there", **evidence)  # fmt: skip
    if source is None:
        others = ", ".join(variables_from(state, pod, container, kind, name))
        fail("variable-missing", f"Container {container['name']} of Pod {pod.name} has no variable {what}."
             + (f" From {kind} {name} it has {others}." if others else ""), observed=f"no {what}",
             **evidence | ({"expected": what} if what == "GREETING_FILE" else {}))  # fmt: skip
    where = f"{source.kind} {source.name}" if source.kind else source.words
    if (source.kind, source.name) != (kind, name):
        fail("value-from-elsewhere", f"Container {container['name']} of Pod {pod.name} takes {what} not from {kind} {name}, but from {where}.",
             observed=where, **evidence)  # fmt: skip
    if source.key is None and source.mount:
        explain_not_in_volume(pod, container, what, source, {})
    if source.key is None:
        fail("config-key-missing", f"Container {container['name']} of Pod {pod.name} takes {what} from a key that {kind} {name} no longer has.",
             observed="the key is gone", **{**evidence, "look": f"kubectl describe {kind.lower()} {name}"})  # fmt: skip
    return source


def variables_from(state: State, pod: Object, container: dict[str, Any], kind: str, name: str) -> list[str]:
    """The variables of a container that come from that ConfigMap or Secret."""
    source = state.find(kind, name)
    whole = (
        [
            each.get("prefix", "") + key
            for each in container.get("envFrom") or []
            for key in keys_of(source, for_variable=True)
        ]
        if source
        else []
    )
    names = dict.fromkeys([*(variable["name"] for variable in container.get("env") or []), *whole])
    found = {one: source_of_variable(state, pod, container, one) for one in names}
    return [one for one, source in found.items() if source and (source.kind, source.name) == (kind, name)]


def said(answer: dict[str, Any]) -> str:
    """The greeting out of the app's front page, whose last line says who speaks; of any other answer, all of it."""
    return answer["text"].rpartition("\n")[0].strip() or answer["text"] or f"nothing ({answer['error']})"


def greeting_by_file(state: State, asked: dict[str, Any]) -> tuple[str, ConfigSource]:
    """The greeting that the ConfigMap has and every Pod of the guestbook says, and the file's source."""
    config_map = require_config_map(state)
    deployment = state.require("Deployment", "guestbook")
    for pod in working_pods(state, deployment):
        path = greeting_file(state, pod)
        evidence = {"object": pod.ref, "look": f"kubectl describe pod {pod.name}"}
        if isinstance(path, HiddenValue):
            unknown("not-observed", f"Which file the app in Pod {pod.name} reads is not written down where the checker may read it: GREETING_FILE comes from a Secret, "
                    "or the kubelet puts it in.", expected="GREETING_FILE", observed="GREETING_FILE from elsewhere", **evidence)  # fmt: skip
        if not path:
            require_source(state, pod, None, "GREETING_FILE", "ConfigMap", CONFIG_MAP)
        source = require_source(
            state, pod, source_of_file(state, pod, app_container(pod), path), path, "ConfigMap", CONFIG_MAP
        )
        wanted, seen = value(config_map, source.key), answers_of(asked, pod)
        content = (seen.get("file") or {path: ""}).get(path)
        if content is None:
            fail("file-not-in-volume", f"Container {app_container(pod)['name']} of Pod {pod.name} cannot read {path}, although a volume is mounted there.",
                 expected=path, observed="it cannot be read", **evidence)  # fmt: skip
        evidence |= {"expected": wanted[:200], "look": f"kubectl exec {pod.name} -- cat {path}"}
        if not same(content, wanted) and source.is_sub_path:
            fail_by_sub_path(pod, path, source, **evidence | {"observed": content.strip()[:200]})
        if not same(content, wanted):
            fail("file-not-refreshed-yet", f"In Pod {pod.name} the file {path} has not the value that key {source.key} of ConfigMap {CONFIG_MAP} has now.",
                 observed=content.strip()[:200], pending=True, **evidence)  # fmt: skip
        words = said(seen["page"][0])
        if not same(words, wanted):
            fail("app-says-otherwise", f"Pod {pod.name} has the ConfigMap's greeting in {path}, but its app says: {words[:200]}",
                 observed=words[:200], pending=True, **evidence | {"look": f"kubectl logs {pod.name}"})  # fmt: skip
    return wanted, source


def same(seen: str, wanted: str) -> bool:
    """Whether a greeting is the wanted one, as far as the beginning that is read goes. Who reads a file as text gets it with
    line ends evened out: https://docs.python.org/3/library/functions.html#open."""
    one, other = (text.replace("\r\n", "\n").strip()[:2000] for text in (seen, wanted))
    return one == other


def fail_by_sub_path(pod: Object, path: str, source: ConfigSource, **evidence: str) -> None:
    fail(
        "sub-path-does-not-follow",
        f"In Pod {pod.name} the file {path} is mounted by subPath: it has what key {source.key} of ConfigMap {CONFIG_MAP} had when the container was started.",
        **evidence | {"object": pod.ref, "look": f"kubectl describe pod {pod.name}"},
    )  # fmt: skip


@task("from-a-file", observe=GUESTBOOK)
def guestbook_reads_a_file(state: State, asked: dict[str, Any]) -> None:
    greeting_by_file(state, asked)


@task("from-the-environment", observe=KIOSK)
def kiosk_has_a_variable(state: State, asked: dict[str, Any]) -> None:
    config_map = require_config_map(state)
    kiosk = state.require("Deployment", "kiosk")
    for pod in working_pods(state, kiosk):
        container = app_container(pod)
        source = require_source(
            state, pod, source_of_variable(state, pod, container, "GREETING"), "GREETING", "ConfigMap", CONFIG_MAP
        )
        wanted, seen = value(config_map, source.key), answers_of(asked, pod)
        words = said(seen["page"][0])
        evidence = {"object": pod.ref, "expected": wanted[:200], "observed": words[:200]}
        path = greeting_file(state, pod)
        if (seen.get("file") or {}).get(path) is not None:
            fail("value-from-elsewhere", f"Pod {pod.name} has a variable GREETING_FILE too, and the app says what is in that file: {words[:200]}",
                 expected="an app that says its variable GREETING", observed=f"it says what is in {path}", object=pod.ref,
                 look=f"kubectl describe pod {pod.name}")  # fmt: skip
        if same(words, wanted):
            continue
        fail("environment-not-refreshed",
             f"Pod {pod.name} still says “{words[:80]}”. Key {source.key} of ConfigMap {CONFIG_MAP} is “{wanted[:80]}” now, but was not when its container was started.",
             look=f"kubectl exec {pod.name} -c {container['name']} -- printenv GREETING", **evidence)  # fmt: skip
