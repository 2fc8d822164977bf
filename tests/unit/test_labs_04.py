"""Lab 04, in a State that was recorded and then changed: who answers, who can write, and what is heard on localhost."""

from __future__ import annotations

import socket
import threading
import time
from copy import deepcopy
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from checker import recording
from checker.grading.grade import judge
from checker.grading.labs import load_lab, load_module
from checker.model.state import REACH, Object
from checker.sdk import State

from .programs import as_sent

LAB = load_lab("04")
TASKS = load_module(LAB.folder, "tasks")
LOCALHOST = TASKS.LOCALHOST
WATCHING = as_sent(LAB, "watch_file")
HEARD = {"app": [{"count": 1, "error": "", "host": "guestbook", "status": 200, "text": "guestbook", "version": "v1"}]}
REFUSED = {"app": [{"count": 1, "error": "refused", "host": "", "status": 0, "text": "", "version": ""}]}
NO_PYTHON = {"error": "Pod guestbook could not be asked: exec: python3: executable file not found in $PATH"}
ALL_PASSED = {"answers": "passed", "two-containers": "passed", "shared-volume": "passed"}


def solved(asked: dict[str, Any] | None = None) -> State:
    state = recording.load(LAB.folder / "recorded" / "solution.json")[0]
    state.observations[LOCALHOST.key] = asked or {"app": HEARD, "clock": HEARD}
    watched(state)
    return state


def watched(state: State, wrote: int | None = 3, **app: Any) -> None:
    """What was seen of the file, by default as it should be. wrote: the looks in which the clock's container wrote."""
    noon = 1767268800.0
    file = {"file": "/shared/greeting", "changed": [noon - n for n in (4, 3, 2, 1)], "now": noon}
    text = {"last": "Thu Jan  1 12:00:00 UTC 2026", "said": "Thu Jan  1 12:00:00 UTC 2026", "same": True, "time": True}
    asked = state.observations[LOCALHOST.key]
    seen = {"app": {"app": True, "wrote": 0, **file, **text, **app}, "clock": {"app": False, "wrote": wrote}}
    state.observations[LOCALHOST.key] = {
        name: said if "error" in said else said | {"watched": seen[name]} for name, said in asked.items()
    }


def parts(state: State) -> tuple[Object, dict[str, Any], dict[str, Any]]:
    """The Pod, its app and its clock."""
    pod = state.find("Pod", "guestbook")
    assert pod
    app, clock = pod.containers
    return pod, app, clock


def verdicts(state: State) -> dict[str, str]:
    return {task.id: task.cause or task.verdict for task in judge(LAB, state).tasks}


def test_the_solution_passes() -> None:
    assert verdicts(solved()) == ALL_PASSED


# -- localhost -------------------------------------------------------------------------------------------------------


def test_localhost_is_asked_in_each_container_that_runs() -> None:
    state = solved()
    question = LOCALHOST.question(state)
    assert {name: ask["container"] for name, ask in question["asks"].items()} == {"app": "app", "clock": "clock"}
    parts(state)[0].status["containerStatuses"] = []
    assert LOCALHOST.question(state) is None
    state.objects["Pod"] = []
    assert LOCALHOST.question(state) is None


@pytest.mark.parametrize(
    "asked, verdict",
    [
        ({"app": HEARD, "clock": NO_PYTHON}, "passed"),
        ({"app": NO_PYTHON, "clock": NO_PYTHON}, "pod-not-askable"),
        ({"app": REFUSED, "clock": REFUSED}, "not-on-localhost"),
        ({"app": NO_PYTHON, "clock": REFUSED}, "not-on-localhost"),
    ],
)
def test_what_is_heard_on_localhost(asked: dict[str, Any], verdict: str) -> None:
    assert verdicts(solved(asked))["two-containers"] == verdict


def test_a_file_that_cannot_be_watched_is_unknown() -> None:
    state = solved({"app": NO_PYTHON, "clock": HEARD})
    (task,) = (task for task in judge(LAB, state).tasks if task.id == "shared-volume")
    assert (task.verdict, task.cause) == ("unknown", "pod-not-askable")


# -- who answers -----------------------------------------------------------------------------------------------------


def with_another_behind(state: State) -> State:
    raw = deepcopy(parts(state)[0].raw)
    raw["metadata"] |= {"name": "imposter", "uid": "uid-imposter"}
    raw["status"]["podIP"] = "10.244.1.77"
    state.objects["Pod"].append(Object("Pod", raw))
    ends = state.objects["EndpointSlice"][0].raw["endpoints"]
    ends.append({**ends[0], "addresses": ["10.244.1.77"]})
    state.observations[REACH] |= {"10.244.1.77:8080": "open"}
    return state


def test_another_pod_behind_the_service_is_no_answer_whatever_its_hostname() -> None:
    state = with_another_behind(solved())
    wrong = ALL_PASSED | {"answers": "service-answers-wrong", "shared-volume": "service-answers-wrong"}
    assert verdicts(state) == wrong
    parts(state)[0].labels.clear()
    del state.objects["EndpointSlice"][0].raw["endpoints"][0]
    assert verdicts(state) == wrong


def test_a_pod_may_have_another_hostname_or_its_nodes() -> None:
    state = solved()
    for answer in state.observations["Http(path='/hostname', per_pod=False, service='guestbook', times=3)"]:
        answer["host"] = answer["text"] = "kubeclass-worker2"
    assert verdicts(state) == ALL_PASSED


# -- who keeps running -----------------------------------------------------------------------------------------------


def test_a_container_that_is_started_again_and_again_does_not_keep_running() -> None:
    state = solved()
    clock = parts(state)[0].status["containerStatuses"][1]
    began = clock["state"]["running"]["startedAt"]
    clock["restartCount"] = 3
    clock["lastState"] = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": began, "finishedAt": began}}
    state.now += timedelta(seconds=20)
    assert verdicts(state) == ALL_PASSED | dict.fromkeys(
        ("two-containers", "shared-volume"), "container-restarts-often"
    )


def test_a_pod_that_has_ended_has_no_container_that_runs() -> None:
    state = solved()
    parts(state)[0].status["phase"] = "Succeeded"
    assert verdicts(state)["two-containers"] == "container-ends"


# -- who can write ---------------------------------------------------------------------------------------------------


def test_what_the_other_container_may_only_read_it_does_not_write() -> None:
    state = solved()
    clock = parts(state)[2]
    clock["volumeMounts"][0]["readOnly"] = True
    assert verdicts(state) == ALL_PASSED | {"shared-volume": "volume-read-only"}
    clock["volumeMounts"].append({"name": "shared", "mountPath": "/too"})
    assert verdicts(state) == ALL_PASSED


@pytest.mark.parametrize(
    "variable, more",
    [
        ({"value": "/shared/./greeting"}, {}),
        ({"value": "greeting"}, {"workingDir": "/shared"}),
        ({"value": "../shared/greeting"}, {}),
        (
            {"value": "/run/now"},
            {"volumeMounts": [{"name": "shared", "mountPath": "/run/now", "subPath": "greeting", "readOnly": True}]},
        ),
        ({"valueFrom": {"secretKeyRef": {"name": "settings", "key": "file"}}}, {}),
        ({"valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['file']"}}}, {}),
    ],
)
def test_ways_to_name_the_file(variable: dict[str, Any], more: dict[str, Any]) -> None:
    state = solved()
    app = parts(state)[1]
    app["env"] = [{"name": "GREETING_FILE", **variable}]
    app |= more
    assert verdicts(state) == ALL_PASSED


@pytest.mark.parametrize(
    "seen, cause",
    [
        ({"changed": []}, "file-not-written"),
        ({"changed": [1767268700.0]}, "file-not-written"),
        ({"changed": [1767268794.0, 1767268797.0]}, "file-not-written"),
        ({"changed": [1767268794.0, 1767268797.0, 1767268798.0, 1767268799.1]}, "passed"),
        ({"same": False}, "greeting-not-from-file"),
        ({"app": False}, "greeting-not-from-file"),
        ({"last": "visit 7", "time": False}, "file-without-time"),
        ({"wrote": 3}, "written-by-app"),
        ({"wrote": None}, "passed"),
    ],
)
def test_what_is_seen_of_the_file(seen: dict[str, Any], cause: str) -> None:
    state = solved()
    state.observations[LOCALHOST.key]["app"]["watched"] |= seen
    assert verdicts(state) == ALL_PASSED | {"shared-volume": cause}


@pytest.mark.parametrize("wrote, pending", [(0, False), (1, True)])
def test_a_busy_machine_may_see_too_few_writes_so_the_check_looks_again(wrote: int, pending: bool) -> None:
    state = solved()
    watched(state, wrote)
    (verdict,) = (task for task in judge(LAB, state).tasks if task.id == "shared-volume")
    assert (verdict.cause, verdict.in_progress) == ("written-by-app", pending)


@pytest.mark.parametrize(
    "wrote, cause", [(0, "written-by-app"), (1, "written-by-app"), (2, "passed"), (None, "passed")]
)
def test_another_container_must_have_written(wrote: int | None, cause: str) -> None:
    state = solved()
    watched(state, wrote)
    assert verdicts(state) == ALL_PASSED | {"shared-volume": cause}
    state.observations[LOCALHOST.key]["clock"] = NO_PYTHON
    assert verdicts(state) == ALL_PASSED, "it could not be asked, and nobody else wrote"


@pytest.mark.parametrize(
    "form", ["%a %b %d %H:%M:%S UTC %Y", "%T", "%H:%M", "%s", "%H%M%S", "%r", "%Hh%Mm%S", "%FT%TZ"]
)
def test_the_time_of_day_in_many_spellings(form: str) -> None:
    now = 1767268814.0
    assert WATCHING.has_time(time.strftime(form.replace("%s", str(int(now))), time.gmtime(now)), now)
    assert WATCHING.has_time(time.strftime("%T", time.gmtime(now + 5.75 * 3600)), now), "in Kathmandu"
    assert not WATCHING.has_time(time.strftime("%T", time.gmtime(now - 300)), now), "five minutes ago"
    assert not WATCHING.has_time("look number 17", now)


def test_the_program_sees_who_writes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for number, words in {"1": "sh -c loop;exec\tpython3\tapp.py", "7": "python3 -u app.py", "9": "sh -c loop"}.items():
        (tmp_path / number).mkdir()
        (tmp_path / number / "cmdline").write_text(words.replace(" ", "\0"))
        (tmp_path / number / "environ").write_text("GREETING_FILE=now\0PORT=1\0")
        (tmp_path / number / "io").write_text(f"rchar: 5\nwchar: {number}\n")
        (tmp_path / number / "cwd").symlink_to(tmp_path)
    (tmp_path / "now").write_text("one\ntwo\n")
    monkeypatch.setattr(WATCHING, "PROCESSES", tmp_path)
    monkeypatch.setattr(WATCHING, "SECONDS", 0.3)
    assert WATCHING.written({"7"}) == {"1": 1, "9": 9}
    seen = WATCHING.watched()
    assert (seen["app"], seen["file"], seen["wrote"]) == (True, str(tmp_path / "now"), 0)
    assert (len(seen["changed"]), seen["last"], seen["same"], seen["time"]) == (1, "two", False, False)


def test_processes_of_the_pods_other_containers_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With shareProcessNamespace, /proc shows the processes of all containers of the Pod."""
    for number, namespace in {"self": "mnt:[1]", "7": "mnt:[1]", "8": "mnt:[2]", "9": ""}.items():
        (tmp_path / number / "ns").mkdir(parents=True)
        (tmp_path / number / "cmdline").write_text("python3\0app.py\0" if number == "8" else "sh\0")
        (tmp_path / number / "io").write_text("rchar: 5\nwchar: 6\n")
        if namespace:
            (tmp_path / number / "ns" / "mnt").symlink_to(namespace)
    monkeypatch.setattr(WATCHING, "PROCESSES", tmp_path)
    assert WATCHING.written(set()) == {"7": 6, "9": 6}, "the namespace of process 9 cannot be read"
    assert WATCHING.app_processes() == [], "the app runs in another container"


@pytest.mark.parametrize(
    "looks, said, same",
    [
        (["", "12:00:00\n"], "12:00:00", True),  # the shell had emptied the file, and then it wrote
        (["12:00:00\n", ""], "12:00:00", True),
        (["11:59:59\n", "12:00:00\n"], "12:00:00", True),
        (["", "12:00:00\n"], "Hello", False),
    ],
)
def test_the_last_line_is_of_the_text_that_the_app_said(
    monkeypatch: pytest.MonkeyPatch, looks: list[str], said: str, same: bool
) -> None:
    texts = cycle(looks)
    monkeypatch.setattr(WATCHING, "text_of", lambda file: next(texts))
    monkeypatch.setattr(WATCHING, "greeting", lambda port: said)
    seen = WATCHING.compared(Path("greeting"), "8080")
    assert (seen["last"], seen["same"]) == ("12:00:00", same)


class Greeter(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"12:00:00\nThis is v1 on guestbook.")

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("at", ["127.0.0.1", "127.0.0.2"])
def test_an_app_that_listens_only_at_the_pods_address_is_asked_there(monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "127.0.0.2")
    with HTTPServer((at, 0), Greeter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert WATCHING.greeting(str(server.server_port)) == "12:00:00"
        server.shutdown()
    assert WATCHING.greeting(str(server.server_port)) is None


IN_ITS_COMMAND = {"command": ["sh", "-c", "GREETING_FILE=/shared/greeting exec python3 app.py"]}
IN_A_SCRIPT = {"command": ["sh", "/start/start.sh"]}


@pytest.mark.parametrize("command", [IN_ITS_COMMAND, IN_A_SCRIPT])
def test_what_starts_the_app_may_set_the_variable(command: dict[str, Any]) -> None:
    state = solved()
    app = parts(state)[1]
    app |= command
    del app["env"]
    assert verdicts(state) == ALL_PASSED
    watched(state, file="", changed=[], same=False)
    missing = "file-not-written" if command is IN_ITS_COMMAND else "variable-missing"
    assert verdicts(state) == ALL_PASSED | {"shared-volume": missing}


def test_where_the_path_is_not_known_another_container_must_be_able_to_write() -> None:
    state = solved()
    _, app, clock = parts(state)
    app["env"] = [{"name": "GREETING_FILE", "valueFrom": {"secretKeyRef": {"name": "settings", "key": "file"}}}]
    clock["volumeMounts"][0]["readOnly"] = True
    assert verdicts(state) == ALL_PASSED | {"shared-volume": "volume-read-only"}
    account = {
        "name": "kube-api-access-x",
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        "readOnly": True,
    }
    app["volumeMounts"].append(account)
    clock["volumeMounts"] = [account]
    assert verdicts(state) == ALL_PASSED | {"shared-volume": "volume-not-shared"}


def test_the_app_may_be_a_native_sidecar() -> None:
    state = solved()
    pod, app, clock = parts(state)
    clock["image"] = "redis:8"
    pod.spec["containers"] = [clock]
    pod.spec["initContainers"] = [app | {"restartPolicy": "Always"}]
    statuses = {status["name"]: status for status in pod.status["containerStatuses"]}
    pod.status |= {"initContainerStatuses": [statuses["app"]], "containerStatuses": [statuses["clock"]]}
    assert verdicts(state) == ALL_PASSED
    del pod.spec["initContainers"][0]["restartPolicy"]
    assert verdicts(state)["answers"] == "wrong-image"


def test_the_other_container_may_have_the_variable_too() -> None:
    state = solved()
    pod, app, clock = parts(state)
    clock["env"] = app["env"]
    app["volumeMounts"][0]["readOnly"] = True
    pod.containers.reverse()
    assert verdicts(state) == ALL_PASSED
