"""Labs as they are written: a folder each, `labs/NN-name/`.

A folder holds lab.yaml, tasks.py, setup/, solution/, accepted/ and mistakes/.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, TypeVar, overload

import msgspec
import yaml
from msgspec.structs import replace

from checker.grading.lab_state import LabState
from checker.grading.observations import Observation
from checker.model.catalogue import Catalogue, catalogue, of_lab, problem
from checker.model.kinds import ALWAYS, KINDS
from cluster import Problem, paths
from cluster.context import DEFAULT_NAMESPACE
from cluster.language import load
from cluster.language.not_yaml import NOT_YAML

Spec = TypeVar("Spec", bound=msgspec.Struct)
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
_LOADS = count(1)
# What programs that run in learners' containers share, and the line by which a program names a piece of it.
PIECES = paths.COURSE / "checker" / "collect" / "programs"
SHARED_PIECE = re.compile(r"^from checker\.collect\.programs\.(\w+) import .*\n", re.MULTILINE)


class TaskSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The words of one task: what is to be brought about, and three hints or more.

    The first hint asks a question, the next one says where to look, and the last one leaves only the doing.

    find_out: the task is to find out what is wrong. So the checker keeps the cause back until the learner has named a
    suspect (checker/grading/suspects.py).
    nodes: in this task nodes are cordoned or stopped. In a class, that is the teacher's.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    title: str
    text: str
    points: Annotated[int, msgspec.Meta(gt=0)]
    hints: Annotated[list[str], msgspec.Meta(min_length=3)]
    find_out: bool = False
    nodes: bool = False


class Needs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a lab needs. `start` refuses a lab where the cluster lacks it.

    workers: the least number of worker nodes. engine: the container engine instead of the cluster.
    metrics: metrics-server.
    manifests: what the API server says to each of the learner's manifests, also to those of objects that exist.
    nodes: nodes are cordoned and stopped, which everybody on the cluster notices (so the tests do that alone).
    policies: the cluster's network plugin enforces network policies, and in a class no other policies are around.
    budgets: the learner sets the quotas of the lab's further namespaces.
    """

    workers: int = 0
    engine: bool = False
    metrics: bool = False
    manifests: bool = False
    nodes: bool = False
    policies: bool = False
    budgets: bool = False


class Debrief(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a learner reads when all tasks have passed.

    shown: what the lab has shown. others: two cases of accepted/ (their files' names), each with what it is and when
    one would choose it.
    mistake: what is most often done wrong, and how that shows. further: where to read on; `[title](address)`.
    """

    shown: str
    others: Annotated[dict[str, str], msgspec.Meta(min_length=2)]
    mistake: str
    further: str


class LabSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """lab.yaml.

    In texts and hints `{namespace}` stands for the lab's namespace, and `{files}` for the folder of the learner's files
    in `work` of the learner's folder. Texts name it as JupyterLab shows it: `work/{files}`.

    minutes: about how long the lab and its lesson take.
    draft: the lab is not finished. No learner sees it, and it needs no proof.
    namespaces: suffixes of further namespaces of the lab: `data` is `learn-data` where the lab is in `learn`. A
    namespace with a folder of that name in setup/ exists when the lab begins; the learner creates the others.
    debrief: what is told when the lab has passed.
    """

    title: str
    goal: str
    minutes: int
    tasks: Annotated[list[TaskSpec], msgspec.Meta(min_length=1)]
    draft: bool = False
    needs: Needs = Needs()
    namespaces: list[str] = []
    debrief: Debrief | None = None


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of accepted/ or mistakes/: how to make the case, and which verdicts must follow.

    make: a shell script, run in the file's folder.
    fails, unknown: task id to cause id; a task named in neither must pass.
    seed: of a lab with a generated set-up; by default the case's name.
    alone: the case cordons or stops a node, so no other test may use the cluster meanwhile.
    """

    title: str
    make: str
    fails: dict[str, str] = {}
    unknown: dict[str, str] = {}
    seed: str = ""
    alone: bool = False


@dataclass(frozen=True)
class TaskCode:
    """A task's function and the observations that it is called with, after the State."""

    function: Callable[..., None]
    observe: tuple[Observation[Any], ...]


@overload
def task(id: str) -> Callable[[Callable[[LabState], None]], Callable[..., None]]: ...
@overload
def task(id: str, observe: Observation[A]) -> Callable[[Callable[[LabState, A], None]], Callable[..., None]]: ...
@overload
def task(
    id: str, observe: tuple[Observation[A], Observation[B]]
) -> Callable[[Callable[[LabState, A, B], None]], Callable[..., None]]: ...
@overload
def task(
    id: str, observe: tuple[Observation[A], Observation[B], Observation[C]]
) -> Callable[[Callable[[LabState, A, B, C], None]], Callable[..., None]]: ...
def task(id: str, observe: Any = ()) -> Callable[[Any], Any]:
    """Mark a function as the judgement of the task with this id. observe: what it wants seen, one or several.

    The function gets a State and what was seen of each observation, and ends by returning (passed) or by raising
    Failed or Unknown. It must do no I/O.
    """
    observations = observe if isinstance(observe, tuple) else (observe,)

    def mark(function: Any) -> Any:
        function._kubeclass_task = (id, TaskCode(function, observations))
        return function

    return mark


def load_module(folder: Path, name: str) -> ModuleType:
    """The module `name`.py of a lab's folder, loaded anew. Raises Problem if there is none.

    A module of a lab may import the modules beside it (`from .ledger import Ledger`), at its top: while it is loaded,
    the folder is a package. The package has a name of its own each time, so that loads in several threads do not meet.
    """
    if not (folder / f"{name}.py").exists():
        raise problem("lab-lacks-module", file=folder / f"{name}.py")
    package = ModuleType(f"kubeclass_{re.sub(r'[^a-z0-9]', '_', folder.name)}_{next(_LOADS)}")
    package.__path__ = [str(folder)]
    sys.modules[package.__name__] = package
    try:
        return importlib.import_module(f"{package.__name__}.{name}")
    finally:
        for loaded in [known for known in list(sys.modules) if f"{known}.".startswith(f"{package.__name__}.")]:
            del sys.modules[loaded]


def program(module_file: str, name: str) -> str:
    """The text of a Python program that a lab has run in learners' Pods (see `ask_in_pod`): programs/NAME.py beside a
    module of the lab, which passes its own `__file__`.

    The program needs Python's standard library, and pieces that programs share (checker/collect/programs/). A container
    does not have these pieces. So the text of a piece stands in the place of the line that imports it.
    """
    text = (Path(module_file).parent / "programs" / f"{name}.py").read_text()
    return SHARED_PIECE.sub(lambda line: (PIECES / f"{line[1]}.py").read_text(), text)


@dataclass(frozen=True)
class Lab:
    """One lab: its number ("07"), its folder, its words and its judgement.

    left_out: the ids of tasks in tasks.py that `spec` does not have, as they cannot be done where the lab is.
    """

    number: str
    folder: Path
    spec: LabSpec = field(compare=False)
    left_out: frozenset[str] = frozenset()

    @cached_property
    def code(self) -> dict[str, TaskCode]:
        """The tasks' functions by id. Raises Problem where tasks.py and lab.yaml do not name the same tasks."""
        module = load_module(self.folder, "tasks")
        marked = (getattr(value, "_kubeclass_task", None) for value in vars(module).values())
        code = dict(mark for mark in marked if mark)
        wanted = {task.id for task in self.spec.tasks} | self.left_out
        if wanted != set(code):
            raise problem("lab-tasks-differ", lab=self.number, tasks=wanted ^ set(code), folder=self.folder)
        return {id: one for id, one in code.items() if id not in self.left_out}

    @cached_property
    def causes(self) -> Catalogue:
        """The catalogue of causes, with what the lab's own causes.yaml adds to it."""
        own = catalogue().extended(self.folder / "causes.yaml")
        return own.translated(of_lab(self.number).get("causes") or {})

    @property
    def is_generated(self) -> bool:
        """Whether part of what the lab begins with is made from a seed (see `generated`)."""
        return (self.folder / "setup.py").exists()

    def generated(self, seed: str) -> dict[str, list[dict[str, Any]]]:
        """What the lab begins with beside setup/, by suffix of the namespace it belongs into ("" is the lab's own).

        It comes from a pure function of the lab's own, `broken(seed)` in its setup.py.
        """
        made: dict[str, list[dict[str, Any]]] = load_module(self.folder, "setup").broken(seed)
        return made

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The kinds of objects that a check of this lab lists: those of every check, and those that its code names."""
        code = "".join(path.read_text() for path in self.folder.glob("*.py"))
        return ALWAYS | {kind for kind in KINDS if re.search(rf"""["']{kind}["']""", code)}

    @cached_property
    def observations(self) -> list[Observation[Any]]:
        """Everything that the tasks want seen, each once."""
        return list({o.key: o for code in self.code.values() for o in code.observe}.values())

    def tasks(self, namespace: str, home: str = DEFAULT_NAMESPACE) -> list[TaskSpec]:
        """The tasks' words for a lab in this namespace. home: see `files`."""

        def filled(text: str) -> str:
            return text.replace("{namespace}", namespace).replace("{files}", self.files(namespace, home))

        return [
            replace(task, text=filled(task.text), hints=[filled(hint) for hint in task.hints])
            for task in self.spec.tasks
        ]

    def files(self, namespace: str, home: str = DEFAULT_NAMESPACE) -> str:
        """The folder, in that of all work, where a learner keeps the files for this lab in this namespace.

        home: the learner's own namespace, where folders have short names.
        """
        return self.number if namespace == home else f"{self.number}-{namespace}"

    def namespaces(self, namespace: str) -> dict[str, str]:
        """The further namespaces of a lab in this one, by suffix."""
        return {suffix: f"{namespace}-{suffix}" for suffix in self.spec.namespaces}

    def cases(self, kind: str) -> dict[str, Case]:
        """The cases in `accepted` or `mistakes`, by file name without its ending."""
        return {path.stem: _load(path, Case) for path in sorted((self.folder / kind).glob("*.yaml"))}


def all_labs(drafts: bool = False) -> list[str]:
    """The numbers of all finished labs, in order; with `drafts`, of the others too."""
    folders = sorted(path.parent for path in paths.labs().glob("[0-9][0-9]-*/lab.yaml"))
    return [folder.name[:2] for folder in folders if drafts or not load_lab(folder.name).spec.draft]


def load_lab(name: str) -> Lab:
    """A lab, also a draft, by its number ("07", "7") or its folder's name ("07-services").

    Raises Problem for an unknown lab, and for a malformed one.
    """
    known = {path.parent.name: path.parent for path in sorted(paths.labs().glob("[0-9][0-9]-*/lab.yaml"))}
    wanted = name.strip().zfill(2) if name.strip().isdigit() else name.strip()
    folder = next((path for key, path in known.items() if wanted in (key, key[:2], key[3:])), None)
    if folder is None:
        finished = [load_lab(number).folder.name for number in all_labs()]
        raise problem("no-such-lab", name=name, labs=finished)
    text = _load(folder / "lab.yaml", LabSpec)
    return Lab(folder.name[:2], folder, _translated(text, of_lab(folder.name[:2])))


def _translated(text: LabSpec, words: dict[str, Any]) -> LabSpec:
    """A lab's text in the chosen language.

    words: what that language's file says of the lab. The rest stays in English.
    """
    tasks = [replace(task, **((words.get("tasks") or {}).get(task.id) or {})) for task in text.tasks]
    debrief = replace(text.debrief, **(words.get("debrief") or {})) if text.debrief else None
    return replace(text, **{key: words[key] for key in ("title", "goal") if key in words}, tasks=tasks, debrief=debrief)


def hint(
    lab: Lab, task_id: str, level: int = 1, namespace: str = DEFAULT_NAMESPACE, home: str = DEFAULT_NAMESPACE
) -> tuple[str, bool]:
    """A hint for a task, and whether another hint follows it.

    home: see Lab.files. level: 1 is the gentlest. A level beyond the last hint gives the last hint.
    Raises Problem for an unknown task.
    """
    text = next((t for t in lab.tasks(namespace, home) if t.id == task_id), None)
    if text is None:
        raise problem("no-such-task", lab=lab.number, task=task_id, tasks=[t.id for t in lab.spec.tasks])
    return text.hints[min(max(level, 1), len(text.hints)) - 1], level < len(text.hints)


def _load(path: Path, spec: type[Spec]) -> Spec:
    """A YAML file as a spec. Raises Problem with the file, the line, and what is allowed there."""
    try:
        return msgspec.convert(load(path.read_text()), spec)
    except msgspec.ValidationError as error:
        raise _broken(path, spec, str(error)) from None
    except NOT_YAML as error:  # a text in another encoding than UTF-8, too
        where = re.sub(r"\s+", " ", str(error))
        raise problem("lab-not-yaml", file=path, error=where) from None


def _broken(path: Path, spec: type[msgspec.Struct], error: str) -> Problem:
    """An error of msgspec's as a Problem: `lab.yaml:7: tasks.0.pionts: unknown key; allowed are …`.

    error: such as "Object contains unknown field `pionts` - at `$.tasks[0]`".
    """
    why, _, place = error.partition(" - at `$")
    where: list[int | str] = [int(key) if key.isdigit() else key for key in re.findall(r"[\w-]+", place)]
    text = path.read_text()
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", why):
        allowed, where = _keys_at(spec, where), [*where, unknown[1]]
        key = ".".join(map(str, where))
        return problem("lab-unknown-key", file=path, line=_line_of(text, where), key=key, allowed=allowed)
    return problem("lab-file-broken", file=path, line=_line_of(text, where), key=".".join(map(str, where)), why=why)


def _keys_at(spec: type[msgspec.Struct], where: list[int | str]) -> list[str]:
    """The keys that are allowed at a place of a spec."""
    found = msgspec.inspect.type_info(spec)
    for key in where:
        if isinstance(found, msgspec.inspect.StructType) and isinstance(key, str):
            found = next(field.type for field in found.fields if field.encode_name == key)
        elif isinstance(found, msgspec.inspect.ListType):
            found = found.item_type
    return [field.encode_name for field in found.fields] if isinstance(found, msgspec.inspect.StructType) else []


def _line_of(text: str, where: list[int | str]) -> int:
    """The line of a place in a YAML text, or of the nearest place around it that is there."""
    try:
        node: Any = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError:  # the reader in C, which has read the text, takes a little more than this one
        node = None
    line = node.start_mark.line + 1 if node else 1
    for key in where:
        if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
            continue
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = next((pair for pair in pairs if pair[0].value == str(key)), None)
        if not found:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return int(line)


def describe(lab: Lab) -> dict[str, Any]:
    """The lab's words as plain data, for the panel and for `--json`."""
    return {
        "lab": lab.number,
        **{k: v for k, v in msgspec.to_builtins(lab.spec).items() if k not in ("needs", "draft")},
    }
