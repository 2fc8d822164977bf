"""The greeting comes from the ConfigMap: the guestbook has it as a file, the kiosk as a variable."""

import base64
from typing import Any

from checker.sdk import (
    ConfigSource,
    Object,
    Redacted,
    Ref,
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

from .inside import CONFIG_MAP, GUESTBOOK, KIOSK, answers_of, app_container, greeting_file, working_pods

SHOWN = 200  # characters of a text, at most, that a message shows


def require_config_map(state: State) -> Object:
    """The ConfigMap of the lab. Raises Failed where there is none, with its own cause where a Secret has that name."""
    if not state.find("ConfigMap", CONFIG_MAP) and "Secret" not in state.unlisted and state.find("Secret", CONFIG_MAP):
        wanted = Ref("ConfigMap", CONFIG_MAP, state.namespace)
        fail("config-kind-mixed-up", wanted, form="config-map", source_kind="ConfigMap", source=CONFIG_MAP)
    return state.require("ConfigMap", CONFIG_MAP)


def value(source: Object, key: str | None) -> str:
    """The value of a ConfigMap's key, without white space around it, as the app says it. Raises Failed if empty."""
    data, binary = source.raw.get("data") or {}, source.raw.get("binaryData") or {}
    text = data[key] if key in data else base64.b64decode(binary.get(key, "")).decode(errors="replace")
    if not text.strip():
        fail("value-malformed", source, form="empty-greeting", key=key)
    return text.strip()


def require_source(
    state: State, pod: Object, source: ConfigSource | None, what: str, kind: str, name: str
) -> ConfigSource:
    """The source of a container's variable or file, which must be that ConfigMap or Secret. Raises Failed otherwise.

    source: as found, None for none. what: the name of the variable, or the path of the file.
    """
    container = app_container(pod)
    is_file = what.startswith("/")
    wanted = {
        "container": container["name"],
        "variable": None if is_file else what,
        "path": what if is_file else None,
        "source_kind": kind,
        "source": name,
    }
    if source is None or (source.kind and source.key is None):
        fail_if_optional_missing(state, pod, container)
    if source is None and is_file:
        fail("volume-not-mounted", pod, form="no-volume-at-file", **wanted)
    if source is None:
        others = variables_from(state, pod, container, kind, name)
        fail("variable-missing", pod, form="not-from-source", others=others, **wanted)
    if not source.kind and source.mount:
        volume = source.mount["name"]
        fail("value-from-elsewhere", pod, form="volume", volume=volume, volume_type=source.volume_type, **wanted)
    if not source.kind:
        fail("value-from-elsewhere", pod, form="spec", **wanted)
    if (source.kind, source.name) != (kind, name):
        fail("value-from-elsewhere", pod, other_kind=source.kind, other=source.name, **wanted)
    if source.key is None and source.mount:
        explain_not_in_volume(pod, container, what, source)
    if source.key is None:
        fail("config-key-missing", pod, form="removed", key=None, resource=kind.lower(), **wanted)
    return source


def fail_if_optional_missing(state: State, pod: Object, container: dict[str, Any]) -> None:
    """Raise Failed where a ConfigMap, Secret or key is missing that the container refers to with `optional: true`."""
    missing = optional_and_missing(state, pod, container)
    if missing:
        raise missing[0]


def variables_from(state: State, pod: Object, container: dict[str, Any], kind: str, name: str) -> list[str]:
    """The names of a container's variables that come from that ConfigMap or Secret."""
    source = state.find(kind, name)
    keys = keys_of(source, for_variable=True) if source else []
    whole = [each.get("prefix", "") + key for each in container.get("envFrom") or [] for key in keys]
    names = dict.fromkeys([*(variable["name"] for variable in container.get("env") or []), *whole])
    found = {one: source_of_variable(state, pod, container, one) for one in names}
    return [one for one, source in found.items() if source and (source.kind, source.name) == (kind, name)]


def greeting_of(answer: dict[str, Any]) -> str:
    """The greeting on the app's front page: all lines but the last, which names the Pod. Else all of the text."""
    text: str = answer["text"]
    return text.rpartition("\n")[0].strip() or text


def answer_facts(answer: dict[str, Any]) -> dict[str, Any]:
    """The app's answer as facts: what it says, or the error where it says nothing."""
    return {"quote": greeting_of(answer)[:SHOWN], "error": None if answer["text"] else answer["error"]}


def greeting_by_file(state: State, observed: dict[str, Any]) -> tuple[str, ConfigSource]:
    """The greeting in the ConfigMap, and the source of the guestbook's file.

    Raises Failed where a Pod of the guestbook does not say that greeting, or has no file from the ConfigMap.
    """
    config_map = require_config_map(state)
    deployment = state.require("Deployment", "guestbook")
    for pod in working_pods(state, deployment):
        container, path = app_container(pod), greeting_file(state, pod)
        if isinstance(path, Redacted):
            unknown("not-observed", pod, form="greeting-file-hidden")
        if not path:
            fail_if_optional_missing(state, pod, container)
            others = variables_from(state, pod, container, "ConfigMap", CONFIG_MAP)
            fail(
                "variable-missing",
                pod,
                form="greeting-file",
                container=container["name"],
                source=CONFIG_MAP,
                others=others,
            )
        source = require_source(state, pod, source_of_file(state, pod, container, path), path, "ConfigMap", CONFIG_MAP)
        wanted, seen = value(config_map, source.key), answers_of(observed, pod)
        content = (seen.get("file") or {path: ""}).get(path)
        if content is None:
            fail("file-not-in-volume", pod, form="unreadable", container=container["name"], path=path)
        facts = {"path": path, "source": CONFIG_MAP, "key": source.key, "wanted": wanted[:SHOWN]}
        if not same(content, wanted):
            content = content.strip()[:SHOWN]
            if source.is_sub_path:
                fail("sub-path-does-not-follow", pod, content=content, **facts)
            fail("file-not-refreshed-yet", pod, in_progress=True, content=content, **facts)
        answer = seen["page"][0]
        if not same(greeting_of(answer), wanted):
            fail("app-says-otherwise", pod, in_progress=True, **facts, **answer_facts(answer))
    return wanted, source


def same(seen: str, wanted: str) -> bool:
    """Whether a greeting is the wanted one, as far as the checker reads it.

    A program that reads a file as text gets `\\n` for every line end:
    https://docs.python.org/3/library/functions.html#open.
    """
    one, other = (text.replace("\r\n", "\n").strip()[:2000] for text in (seen, wanted))
    return one == other


@task("from-a-file", observe=GUESTBOOK)
def guestbook_reads_a_file(state: State, observed: dict[str, Any]) -> None:
    greeting_by_file(state, observed)


@task("from-the-environment", observe=KIOSK)
def kiosk_has_a_variable(state: State, observed: dict[str, Any]) -> None:
    config_map = require_config_map(state)
    kiosk = state.require("Deployment", "kiosk")
    for pod in working_pods(state, kiosk):
        container = app_container(pod)
        source = require_source(
            state, pod, source_of_variable(state, pod, container, "GREETING"), "GREETING", "ConfigMap", CONFIG_MAP
        )
        wanted, seen = value(config_map, source.key), answers_of(observed, pod)
        answer, path = seen["page"][0], greeting_file(state, pod)
        facts = answer_facts(answer)
        if (seen.get("file") or {}).get(path) is not None:
            fail("value-from-elsewhere", pod, form="greeting-file", path=path, **facts)
        if not same(greeting_of(answer), wanted):
            facts |= {"container": container["name"], "source": CONFIG_MAP, "key": source.key, "wanted": wanted[:SHOWN]}
            fail("environment-not-refreshed", pod, form="greeting", **facts)
