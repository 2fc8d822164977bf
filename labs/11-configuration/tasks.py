"""Judging lab 11: where a value comes from, by the objects; what arrived, asked inside the Pods; and how a change came, from the timeline.

A Secret's value never leaves its container: it is compared in there (checker/collect/compare_secrets.py).
"""

import base64
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from checker import Object, PodsInside, State, Timeline, Traffic, fail, task, unknown
from checker.diagnosis.configuration import (
    Source,
    keys_of,
    optional_and_missing,
    raise_not_in_volume,
    source_of_file,
    source_of_variable,
)
from checker.grading.observations import Said, answered, inside, running_pods
from checker.model.state import Hidden
from checker.model.verdict import Unknown

CONFIG_MAP, SECRET, VARIABLE, FILE = "greeting", "login", "ADMIN_PASSWORD", "/etc/login/password"
PASSWORD = "open-sesame"
TRAFFIC = Traffic("guestbook", "/")
ASKED = 5  # Pods of a Deployment that are asked, at most: those that have been running longest know least of a change
LASTING = 5.0  # seconds that a new greeting is heard before it counts
RESTART = 10.0  # seconds within which the kubelet has told of a container's restart


def app_container(pod: Object) -> dict[str, Any]:
    """The container in which the app runs: the first of the guestbook's image, else the first."""
    return next((c for c in pod.containers if "guestbook:" in c.get("image", "")), pod.containers[0])


def greeting_file(state: State, pod: Object) -> str:
    """The file that the app was told to read its greeting from, as a whole path; empty where it was told none."""
    container = app_container(pod)
    path = state.env(pod, container).get("GREETING_FILE", "")
    return path if path.startswith("/") or not path else f"{container.get('workingDir') or '/app'}/{path}"


def pods_asked(state: State, deployment: Object) -> list[Object]:
    """The Pods of a Deployment that are asked: of those that run, the ones whose app was started first."""

    def started(pod: Object) -> str:
        name = app_container(pod)["name"]
        return next(
            str(s["state"]["running"]["startedAt"]) for s in pod.status["containerStatuses"] if s["name"] == name
        )

    return sorted(running_pods(state, deployment), key=started)[:ASKED]


@dataclass(frozen=True)
class InsidePods(PodsInside):
    """Base of what is asked in the running Pods of a Deployment. Read as {Pod name: answers}."""

    deployment: str

    def question(self, state: State) -> dict[str, Any] | None:
        deployment = state.find("Deployment", self.deployment)
        pods = pods_asked(state, deployment) if deployment else []
        return self.ask(
            {
                pod.name: {
                    **inside(pod, self.questions(state, pod)),
                    "container": app_container(pod)["name"],
                    **self.program(),
                }
                for pod in pods
            }
        )

    def program(self) -> dict[str, str]:
        return {}

    @abstractmethod
    def questions(self, state: State, pod: Object) -> dict[str, Any]:
        """What is asked in one Pod."""

    def read(self, seen: Any) -> Any:
        return seen  # a Pod that could not be asked matters only to who wants to know about it: see `answers_of`


@dataclass(frozen=True)
class Inside(InsidePods):
    """What the app in each Pod says, and what is in its greeting file: {"page": [answer], "file": {path: text}}."""

    def questions(self, state: State, pod: Object) -> dict[str, Any]:
        path, page = greeting_file(state, pod), {"do": "http", "url": "http://127.0.0.1:8080/"}
        source = source_of_file(state, pod, app_container(pod), path) if path else None
        if source is None or source.kind == "Secret":  # what is in a Secret stays where it is
            return {"page": page}
        return {"page": page, "file": {"do": "read", "files": [path]}}


@dataclass(frozen=True)
class Compared(InsidePods):
    """How what each Pod was given as the password is like the password: {"variable": …, "file": …}, see checker/collect/compare_secrets.py."""

    def program(self) -> dict[str, str]:
        return {"program": "compare_secrets.py"}

    def questions(self, state: State, pod: Object) -> dict[str, Any]:
        return {"variable": {"variable": VARIABLE, "expected": PASSWORD}, "file": {"file": FILE, "expected": PASSWORD}}


GUESTBOOK, KIOSK, COMPARED = Inside("guestbook"), Inside("kiosk"), Compared("guestbook")


def working_pods(state: State, deployment: Object) -> list[Object]:
    """The Pods that are asked, of a Deployment that works. Raises Failed with the first broken link otherwise."""
    state.require_working(deployment)
    return pods_asked(state, deployment)


def answers_of(asked: Any, pod: Object) -> dict[str, Any]:
    """What was asked in one Pod. Raises Unknown where it could not be asked, or is newer than the look."""
    if pod.name not in set(asked):
        unknown(
            "not-observed",
            f"Pod {pod.name} is so new that it was not asked yet.",
            object=pod.ref,
            look="kubectl get pods",
            pending=True,
        )
    try:
        return answered(asked[pod.name])
    except Unknown as end:
        end.pending = True  # a busy machine may take too long once
        raise


def require_config_map(state: State) -> Object:
    """The ConfigMap of the lab; where there is a Secret of that name instead, that is said."""
    if not state.find("ConfigMap", CONFIG_MAP) and "Secret" not in state.unlisted and state.find("Secret", CONFIG_MAP):
        fail(
            "config-kind-mixed-up", f"There is no ConfigMap {CONFIG_MAP}, but a Secret of that name.",
            expected=f"ConfigMap {CONFIG_MAP}", observed=f"Secret {CONFIG_MAP}", object=f"ConfigMap/{CONFIG_MAP}", look="kubectl get configmaps,secrets",
        )  # fmt: skip
    return state.require("ConfigMap", CONFIG_MAP)


def value(source: Object, key: str) -> str:
    """The value of a ConfigMap's key, as the app would say it: without white space around it."""
    data, binary = source.raw.get("data") or {}, source.raw.get("binaryData") or {}
    text = data[key] if key in data else base64.b64decode(binary.get(key, "")).decode(errors="replace")
    if not text.strip():
        fail("value-malformed", f"Key {key} of ConfigMap {source.name} is empty.", expected="a greeting", observed="nothing", object=source.ref,
             look=f"kubectl describe configmap {source.name}")  # fmt: skip
    return text.strip()


def require_source(state: State, pod: Object, source: Source | None, what: str, kind: str, name: str) -> Source:
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
        raise_not_in_volume(pod, container, what, source)
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


def greeting_by_file(state: State, asked: Any) -> tuple[str, Source]:
    """The greeting that the ConfigMap has and every Pod of the guestbook says, and the file's source."""
    config_map = require_config_map(state)
    deployment = state.require("Deployment", "guestbook")
    for pod in working_pods(state, deployment):
        path = greeting_file(state, pod)
        evidence = {"object": pod.ref, "look": f"kubectl describe pod {pod.name}"}
        if isinstance(path, Hidden):
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


def fail_by_sub_path(pod: Object, path: str, source: Source, **evidence: str) -> None:
    fail(
        "sub-path-does-not-follow",
        f"In Pod {pod.name} the file {path} is mounted by subPath: it has what key {source.key} of ConfigMap {CONFIG_MAP} had when the container was started.",
        **evidence | {"object": pod.ref, "look": f"kubectl describe pod {pod.name}"},
    )  # fmt: skip


@task("from-a-file", observe=GUESTBOOK)
def guestbook_reads_a_file(state: State, asked: Any) -> None:
    greeting_by_file(state, asked)


@task("follows", observe=(GUESTBOOK, TRAFFIC))
def running_guestbook_follows(state: State, asked: Any, timeline: Timeline) -> None:
    wanted, source = greeting_by_file(state, asked)
    service = state.require("Service", "guestbook")
    state.require_working(service)
    first_line, *others = (line.strip() for line in wanted.split("\n"))
    own = {pod["name"] for pod in timeline.pods_of("guestbook")}
    if any(name in own and followed(timeline, name, runs, first_line) for name, runs in timeline.said().items()):
        return
    evidence = {"object": f"ConfigMap/{CONFIG_MAP}", "look": f"kubectl describe configmap {CONFIG_MAP}"}
    heard = [run for runs in timeline.said().values() for run in runs]
    if not any(run.text.strip() == first_line and run.last - run.first >= LASTING for run in heard):
        unknown(
            "not-observed", f"The observer has not heard the greeting “{first_line[:80]}” from Service guestbook for long enough yet.",
            pending=True, **evidence,
        )  # fmt: skip
    if state.started and timeline.since - state.started.timestamp() > 60 and len(heard) < 2:
        unknown(
            "not-observed",
            "The observer was restarted after the lab was started, and has not seen everything. Change the greeting once more.",
            **evidence,
        )
    if source.is_sub_path:
        pod = working_pods(state, state.require("Deployment", "guestbook"))[0]
        fail_by_sub_path(
            pod,
            greeting_file(state, pod),
            source,
            expected="another greeting from the same Pods",
            observed="always the same from each",
        )
    called = state.require("Deployment", "guestbook").spec["template"]["spec"].get("hostname")
    if called:
        unknown(
            "not-observed", f"All Pods of Deployment guestbook call themselves {called} (spec.hostname), so the observer cannot tell one from another by what "
            "they answer. Without that name it can.",
            object="Deployment/guestbook", look="kubectl get deployment guestbook -o yaml",
        )  # fmt: skip
    if others:
        unknown(
            "not-observed", f"The greeting has several lines, and the observer hears the first of them only, “{first_line[:80]}”: no running Pod was seen to take "
            "to another first line. Change the first line.",
            **evidence,
        )  # fmt: skip
    evidence["expected"] = "another greeting from the same Pods"
    if state.require("ConfigMap", CONFIG_MAP).raw.get("immutable"):
        fail("config-map-immutable", f"ConfigMap {CONFIG_MAP} is marked as immutable, and no running Pod was seen with another greeting before.",
             observed="immutable: true", **{**evidence, "look": f"kubectl get configmap {CONFIG_MAP} -o yaml"})  # fmt: skip
    fail(
        "value-never-changed",
        f"The greeting “{first_line[:80]}” came with new Pods of the guestbook, and since then no running Pod was seen to take to another one.",
        observed="each Pod has said one and the same", **evidence,
    )  # fmt: skip


def followed(timeline: Timeline, name: str, runs: list[Said], wanted: str) -> bool:
    """Whether this one Pod took to the wanted greeting after another one, and kept to it, without being restarted between the two."""
    again = [time for pod in timeline.pods() if pod["name"] == name for time in restarts(pod)]
    return any(
        new.text.strip() == wanted
        and new.last - new.first >= LASTING
        and not any(old.last < time < new.first + RESTART for time in again)
        for old, new in pairwise(runs)
    )


def restarts(pod: dict[str, Any]) -> list[float]:
    """When containers of a Pod were restarted."""
    return [after[0] for before, after in pairwise(pod["changes"]) if after[2] > before[2]]


@task("from-the-environment", observe=KIOSK)
def kiosk_has_a_variable(state: State, asked: Any) -> None:
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


@task("password", observe=COMPARED)
def password_arrives(state: State, asked: Any) -> None:
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
