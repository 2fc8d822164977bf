"""The configuration of a Pod: the ConfigMaps and Secrets of its variables and its volumes exist, and have the keys.

The module also knows what a container finds where a volume is mounted.

Sources: https://kubernetes.io/docs/concepts/configuration/configmap/, https://kubernetes.io/docs/concepts/configuration/secret/
and https://kubernetes.io/docs/concepts/storage/volumes/.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from checker.model.spelling import nearest
from checker.model.state import Object, State
from checker.model.verdict import Failed, Unknown, fail

OTHER_KIND = {"ConfigMap": "Secret", "Secret": "ConfigMap"}
# The volume with which every Pod is given its ServiceAccount's token: the cluster's own business.
_OWN_VOLUME = "kube-api-access-"
# A variable's value that is another variable's
# (https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/).
_WHOLE_VARIABLE = re.compile(r"\$\(([^()]+)\)")
# How the kubelet says that something is not there: of an object, of a key for a variable, of a key for a file.
_NO_OBJECT = re.compile(r'\b(configmap|secret) "([^"]+)" not found', re.I)
_NO_KEY = re.compile(
    r"couldn't find key (\S+) in (ConfigMap|Secret) \S+?/(\S+)|non-existent (config|secret) key: (\S+)"
)
# What it says when it has not been told of the object itself yet.
_NOT_SYNCED = re.compile(r"failed to sync (?:configmap|secret) cache|not registered", re.I)


@dataclass(frozen=True)
class Reference:
    """A ConfigMap or Secret that a Pod refers to.

    key: None for all its keys.
    name_within: the key's name in the container: a variable, or a path within the volume. Empty for all keys.
    optional: the kubelet starts the container without it. for_variable: the value must be text.
    """

    kind: str
    name: str
    key: str | None
    name_within: str
    optional: bool
    for_variable: bool = False


def _reference(kind: str, ref: dict[str, Any], name_within: str = "", name: str = "name") -> Reference:
    return Reference(kind, ref.get(name, ""), ref.get("key"), name_within, bool(ref.get("optional")))


def environment_references(container: dict[str, Any]) -> list[Reference]:
    """The sources of a container's variables, in the order of the kubelet: whole objects first, then single keys."""
    found = []
    for source in container.get("envFrom") or []:
        for kind, field in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            if source.get(field):
                found.append(_reference(kind, source[field]))
    for variable in container.get("env") or []:
        for kind, field in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
            ref = (variable.get("valueFrom") or {}).get(field)
            if ref:
                found.append(_reference(kind, ref, variable["name"]))
    return [replace(reference, for_variable=True) for reference in found]


def volume_references(volume: dict[str, Any]) -> list[Reference]:
    """What one volume's files are taken from, those of a projected volume included."""
    sources = [("ConfigMap", volume.get("configMap"), "name"), ("Secret", volume.get("secret"), "secretName")]
    for part in (volume.get("projected") or {}).get("sources") or []:
        sources += [("ConfigMap", part.get("configMap"), "name"), ("Secret", part.get("secret"), "name")]
    found = []
    for kind, ref, name in sources:
        if ref is None:
            continue
        items = ref.get("items") or []
        found += [_reference(kind, {**ref, "key": item["key"]}, item["path"], name) for item in items]
        if not items:
            found.append(_reference(kind, ref, "", name))
    return found


def keys_of(source: Object, for_variable: bool = False) -> list[str]:
    """The keys of a ConfigMap or Secret.

    for_variable: only the keys that a variable can have. The kubelet takes no variable from binaryData.
    """
    return sorted([*(source.raw.get("data") or {}), *([] if for_variable else source.raw.get("binaryData") or {})])


# -- what is missing -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Need:
    """A reference, and what of the Pod has it: a container (for its variables) or a volume. The other name is empty."""

    reference: Reference
    container: str = ""
    volume: str = ""


def missing(state: State, pod: Object, need: Need, for_volume: bool = False) -> Failed | None:
    """The fault of a reference whose object or key does not exist, or None where both exist.

    for_volume: the volume keeps the Pod in ContainerCreating. Raises Unknown where objects of that kind could not be
    listed.
    """
    kind, name, key = need.reference.kind, need.reference.name, need.reference.key
    source = state.find(kind, name, pod.namespace)
    if source and (key is None or key in keys_of(source, need.reference.for_variable)):
        return None
    facts: dict[str, Any] = {
        "container": need.container,
        "volume": need.volume,
        "source_kind": kind,
        "source": name,
        "key": key,
        "resource": kind.lower(),
    }
    if source and key in keys_of(source):
        return Failed("config-key-missing", pod, form="binary", **facts)
    if source:
        keys = keys_of(source)
        near = nearest(key or "", keys, cutoff=0.6)
        return Failed("volume-key-missing" if for_volume else "config-key-missing", pod, **facts, keys=keys, near=near)
    other = OTHER_KIND[kind]
    if other not in state.unlisted and state.find(other, name, pod.namespace):
        form = "for-volume" if for_volume else ""
        return Failed("config-kind-mixed-up", pod, form=form, **facts, other_kind=other)
    known = sorted(o.name for o in state.all(kind, pod.namespace))
    near = nearest(name, known, cutoff=0.6)
    elsewhere = [] if near else sorted({o.namespace for o in state.everywhere(kind) if o.name == name})
    cause = "volume-source-missing" if for_volume else "config-object-missing"
    return Failed(cause, pod, **facts, known=known, near=near, elsewhere=elsewhere)


def explain_environment(state: State, pod: Object, container: dict[str, Any], message: str) -> NoReturn:
    """Why a container waits with CreateContainerConfigError.

    message: the kubelet's. It is used where objects could not be seen.
    """
    name = container.get("name", "")
    seen_all = _raise_first_missing(state, pod, [Need(r, container=name) for r in environment_references(container)])
    if not seen_all:
        _raise_from_message(pod, message, container=name)
    if _NO_OBJECT.search(message) or _NO_KEY.search(message) or _NOT_SYNCED.search(message):
        fail("pod-starting", pod, form="configuration-retried", in_progress=True, container=name, message=message)
    fail("container-config-error", pod, container=name, message=message)


def explain_sources(state: State, pod: Object) -> None:
    """Why a Pod waits in ContainerCreating: what a volume is taken from is not there, or has only just come.

    Returns where neither is known. Raises Failed otherwise.
    """
    needs = [
        Need(reference, volume=volume["name"])
        for volume in pod.spec.get("volumes") or []
        if not volume["name"].startswith(_OWN_VOLUME)
        for reference in volume_references(volume)
    ]
    seen_all = _raise_first_missing(state, pod, needs, for_volume=True)
    events = state.events(pod, "FailedMount")
    if not events:
        return
    message = events[0].get("message", "")
    telling = re.sub(r"^MountVolume\.\w+ failed for volume \"[^\"]*\"\s*:\s*", "", message)
    named = re.search(r'for volume "([^"]+)"', message)
    volume = named.group(1) if named else ""
    if not seen_all:
        _raise_from_message(pod, message, volume=volume, for_volume=True)
    passing = bool(_NO_OBJECT.search(message) or _NO_KEY.search(message) or _NOT_SYNCED.search(message))
    own = volume.startswith(_OWN_VOLUME)
    if passing or own:
        form = "own-volume" if own else "mount-retried"
        fail("pod-starting", pod, form=form, in_progress=True, volume=volume, message=telling[:300])


def _raise_first_missing(state: State, pod: Object, needs: list[Need], for_volume: bool = False) -> bool:
    """Raise the first fault of some references that a Pod needs.

    Returns whether all of their objects could be listed.
    """
    seen_all = True
    for need in needs:
        if need.reference.optional:
            continue
        try:
            fault = missing(state, pod, need, for_volume)
        except Unknown:
            seen_all = False
            continue
        if fault:
            raise fault
    return seen_all


_KIND_OF = {"configmap": "ConfigMap", "config": "ConfigMap", "secret": "Secret"}  # by the kubelet's word


def _raise_from_message(
    pod: Object, message: str, container: str = "", volume: str = "", for_volume: bool = False
) -> None:
    """Where objects may not be listed, the kubelet's own message tells what is missing. Returns where it does not."""
    no_object, no_key = _NO_OBJECT.search(message), _NO_KEY.search(message)
    facts: dict[str, Any] = {"container": container, "volume": volume, "message": message}
    if no_object:
        cause = "volume-source-missing" if for_volume else "config-object-missing"
        kind = _KIND_OF[no_object[1].lower()]
        fail(cause, pod, form="not-listed", **facts, source_kind=kind, source=no_object[2], key=None)
    if no_key:
        cause = "volume-key-missing" if for_volume else "config-key-missing"
        key = no_key[1] or no_key[5]
        kind = _KIND_OF[(no_key[2] or no_key[4]).lower()]
        fail(cause, pod, form="not-listed", **facts, source_kind=kind, source=no_key[3] or "", key=key)


def optional_and_missing(state: State, pod: Object, container: dict[str, Any]) -> list[Failed]:
    """What a container is said to do without if need be (`optional: true`), and does do without: its variables, and the
    volumes that it mounts. No fault by itself; the reason where something is missed."""
    needs = [Need(reference, container=container.get("name", "")) for reference in environment_references(container)]
    mounted = {mount["name"] for mount in container.get("volumeMounts") or []}
    for volume in pod.spec.get("volumes") or []:
        if volume["name"] in mounted:
            needs += [Need(reference, volume=volume["name"]) for reference in volume_references(volume)]
    found = []
    for need in needs:
        end = missing(state, pod, need) if need.reference.optional else None
        if end:
            fault = end.fault
            facts = {**fault.facts, "fault": fault}
            form = "key" if fault.cause == "config-key-missing" else "object"
            found.append(Failed("optional-hides-missing", pod, form=form, **facts))
    return found


# -- where a value comes from ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """Where a variable or a file comes from.

    kind: ConfigMap or Secret; empty for a value in the container's own spec, or a volume of another type.
    key: None where no key gives the value. mount: of a file, the volumeMount in which it lies.
    files: the files of the volume, where no key gives the file.
    left_out: whether the ConfigMap or Secret has a key for the file, and the volume's items do not list it.
    volume_type: of a file in a volume that is taken from no ConfigMap or Secret, such as `emptyDir`.
    """

    kind: str = ""
    name: str = ""
    key: str | None = None
    mount: dict[str, Any] | None = None
    files: tuple[str, ...] = ()
    left_out: bool = False
    volume_type: str = ""

    @property
    def is_sub_path(self) -> bool:
        """Mounted by subPath: such a file does not follow changes
        (https://kubernetes.io/docs/concepts/configuration/configmap/#mounted-configmaps-are-updated-automatically)."""
        return bool(self.mount and (self.mount.get("subPath") or self.mount.get("subPathExpr")))


def source_of_variable(state: State, pod: Object, container: dict[str, Any], name: str) -> Source | None:
    """Where a container's variable comes from, or None where the container has no variable of that name.

    `env` wins over `envFrom`, and a later entry wins over an earlier entry. The value $(NAME) comes from the source of
    the variable NAME, where NAME is set before it.
    """
    variables = container.get("env") or []
    for place, variable in reversed(list(enumerate(variables))):
        if variable["name"] != name:
            continue
        for kind, field in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
            ref = (variable.get("valueFrom") or {}).get(field)
            if ref:
                source = state.find(kind, ref["name"], pod.namespace)
                known = source is not None and ref["key"] in keys_of(source, for_variable=True)
                return (
                    Source(kind, ref["name"], ref["key"] if known else None)
                    if known or not ref.get("optional")
                    else None
                )
        other = _WHOLE_VARIABLE.fullmatch(variable.get("value", ""))
        before = {**container, "env": variables[:place]}
        found = source_of_variable(state, pod, before, other[1]) if other else None
        return found or Source()
    for whole in reversed(container.get("envFrom") or []):
        for kind, field in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            ref = whole.get(field)
            source = state.find(kind, ref["name"], pod.namespace) if ref else None
            for key in keys_of(source, for_variable=True) if source else []:
                if whole.get("prefix", "") + key == name:
                    return Source(kind, ref["name"], key)
    return None


def source_of_file(state: State, pod: Object, container: dict[str, Any], path: str) -> Source | None:
    """Where a file of a container comes from, or None where no volume is mounted around it."""
    path = posixpath.normpath(path)
    around = [m for m in container.get("volumeMounts") or [] if _within(path, m["mountPath"]) is not None]
    if not around:
        return None
    mount = max(around, key=lambda m: len(m["mountPath"]))
    inner = posixpath.normpath(posixpath.join(mount.get("subPath", ""), _within(path, mount["mountPath"]) or ""))
    inner = inner.removeprefix("..data/")
    volume = next((v for v in pod.spec.get("volumes") or [] if v["name"] == mount["name"]), {"name": mount["name"]})
    references = volume_references(volume)
    for reference in reversed(references):
        source = state.find(reference.kind, reference.name, pod.namespace)
        keys = keys_of(source) if source else []
        if reference.key is not None and reference.name_within == inner and reference.key in keys:
            return Source(reference.kind, reference.name, reference.key, mount=mount)
        if reference.key is None and inner in keys:
            return Source(reference.kind, reference.name, inner, mount=mount)
    if references:
        files = tuple(sorted(_files(state, pod, volume)))
        for reference in references:
            source = state.find(reference.kind, reference.name, pod.namespace)
            if reference.key is not None and source and inner in keys_of(source):
                return Source(reference.kind, reference.name, mount=mount, files=files, left_out=True)
        return Source(references[0].kind, references[0].name, mount=mount, files=files)
    other = next((field for field in volume if field != "name"), "volume")
    return Source(mount=mount, volume_type=other)


def _files(state: State, pod: Object, volume: dict[str, Any]) -> Iterator[str]:
    for reference in volume_references(volume):
        source = state.find(reference.kind, reference.name, pod.namespace)
        keys = keys_of(source) if source else []
        yield from keys if reference.key is None else [reference.name_within] if reference.key in keys else []


def _within(path: str, folder: str) -> str | None:
    """The rest of a path below a folder; empty where it is the folder itself, None where it is not below it."""
    folder = posixpath.normpath(folder)
    if path == folder:
        return ""
    return path[len(folder) :].lstrip("/") if path.startswith(folder.rstrip("/") + "/") else None


_NOT_THERE = re.compile(r"no such file|can't open|cannot open|could not open|not found|does not exist", re.I)
_IS_FOLDER = re.compile(r"is a directory|not a directory", re.I)
_PATH = re.compile(r"/[\w./-]*[\w-]")


def explain_hidden_file(
    state: State, pod: Object, container: dict[str, Any], log: str, in_progress: bool = False
) -> None:
    """A container that ends because a file is missing at a path where a ConfigMap or Secret is mounted.

    The mount hides what the image has at that path. log: the container's last lines, or the runtime's message.
    Returns where that is not the cause.

    Source: https://kubernetes.io/docs/concepts/storage/volumes/#how-volumes-work
    """
    if _IS_FOLDER.search(log):
        _explain_sub_path(state, pod, container, log, in_progress)
    if not _NOT_THERE.search(log):
        return
    for path in _PATH.findall(log):
        source = source_of_file(state, pod, container, path)
        if source and source.kind and source.mount and source.key is None:
            raise_not_in_volume(pod, container, path, source, in_progress)


def _explain_sub_path(state: State, pod: Object, container: dict[str, Any], log: str, in_progress: bool) -> None:
    """Raise Failed where a subPath names no file of its volume. The kubelet then makes an empty folder of that name.

    Source: https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kubelet_pods.go (makeMounts)
    """
    for mount in container.get("volumeMounts") or []:
        inner = posixpath.normpath(mount.get("subPath") or ".")
        source = source_of_file(state, pod, container, mount["mountPath"]) if inner != "." else None
        if not source or not source.kind or source.key is not None or mount["mountPath"] not in log:
            continue
        if not any(file.startswith(inner + "/") for file in source.files):
            raise_not_in_volume(pod, container, mount["mountPath"], source, in_progress, sub_path=inner)


def explain_missing_file(
    state: State, pod: Object, container: dict[str, Any], log: str, in_progress: bool = False
) -> None:
    """A container that ends because a file is missing at a path where no volume is mounted.

    Raises Failed where a volume of the Pod has such a file, or may have it, or a ConfigMap has it that no volume is
    made from.
    """
    paths = [path for line in log.splitlines() if _NOT_THERE.search(line) for path in _PATH.findall(line)]
    own = [m for m in container.get("volumeMounts") or [] if not m["name"].startswith(_OWN_VOLUME)]
    volumes = {volume["name"]: volume for volume in pod.spec.get("volumes") or []}
    for path in dict.fromkeys(paths):
        if inside := [mount for mount in own if _within(path, mount["mountPath"]) is not None]:
            _explain_empty_volume(pod, container, path, inside[0], in_progress)
            continue
        file, folder = posixpath.basename(path), posixpath.dirname(path)
        facts: dict[str, Any] = {"container": container["name"], "path": path, "file": file, "folder": folder}
        for mount in own:
            volume = volumes.get(mount["name"], {"name": mount["name"]})
            by_init = _written_below(pod, volume["name"], file)
            has = file in set(_files(state, pod, volume)) or by_init
            if has or (len(own) == 1 and "persistentVolumeClaim" in volume):
                form = "" if has else "may-be"
                mounted = mount["mountPath"]
                fail(
                    "volume-at-other-path",
                    pod,
                    form=form,
                    in_progress=in_progress,
                    volume=volume["name"],
                    mount_path=mounted,
                    **facts,
                )
        named = {ref.name for volume in volumes.values() for ref in volume_references(volume)}
        for kind in OTHER_KIND:
            holders = (
                [] if kind in state.unlisted else [o.name for o in state.all(kind, pod.namespace) if file in keys_of(o)]
            )
            if holders:
                used = "" if named & set(holders) else "unused"
                holder = next((h for h in holders if h in named), holders[0])
                form = "unused" if used else "not-mounted"
                fail(
                    "config-not-mounted",
                    pod,
                    form=form,
                    in_progress=in_progress,
                    source_kind=kind,
                    source=holder,
                    **facts,
                )


def _explain_empty_volume(
    pod: Object, container: dict[str, Any], path: str, mount: dict[str, Any], in_progress: bool
) -> None:
    """Raise Failed where a file is missing in an emptyDir that no other container of the Pod mounts.

    Another volume may have the file, from an init container. Otherwise the volume hides what the image has there.
    """
    name, file = mount["name"], posixpath.basename(path)
    volume: dict[str, Any] = next((v for v in pod.spec.get("volumes") or [] if v["name"] == name), {})
    others = [c for c in [*(pod.spec.get("initContainers") or []), *pod.containers] if c["name"] != container["name"]]
    if "emptyDir" not in volume or any(m["name"] == name for c in others for m in c.get("volumeMounts") or []):
        return
    facts = {"container": container["name"], "path": path, "volume": name, "mount_path": mount["mountPath"]}
    for other in pod.spec.get("volumes") or []:
        if other["name"] != name and _written_below(pod, other["name"], file):
            form = "written-elsewhere"
            fail("volume-hides-files", pod, form=form, in_progress=in_progress, file=file, other=other["name"], **facts)
    fail("volume-hides-files", pod, in_progress=in_progress, **facts)


def _written_below(pod: Object, volume: str, file: str) -> bool:
    """Whether the command of an init container names this file below its mount of a volume."""
    for init in pod.spec.get("initContainers") or []:
        command = " ".join([*(init.get("command") or []), *(init.get("args") or [])])
        for mount in init.get("volumeMounts") or []:
            if mount["name"] == volume and posixpath.join(mount["mountPath"], file) in command:
                return True
    return False


def _by_number(name: str) -> str:
    """A name without its numbers: `part-1` and `part-2` are two parts, and neither is a slip of the other."""
    return re.sub(r"\d+", "0", name)


def raise_not_in_volume(
    pod: Object, container: dict[str, Any], path: str, source: Source, in_progress: bool = False, sub_path: str = ""
) -> NoReturn:
    """Fail because a file is looked for in a volume that has no such file.

    sub_path: the subPath of the mount, where this is the name that the volume does not have.
    """
    mount, name = source.mount or {}, sub_path or posixpath.basename(path)
    fail(
        "file-not-in-volume",
        pod,
        form="left-out" if source.left_out else "sub-path" if sub_path else "",
        in_progress=in_progress,
        container=container["name"],
        path=path,
        sub_path=sub_path,
        volume=mount.get("name", ""),
        mount_path=mount.get("mountPath", ""),
        source_kind=source.kind,
        source=source.name,
        files=source.files,
        near=nearest(name, [one for one in source.files if _by_number(one) != _by_number(name)], cutoff=0.6),
        key=name,
    )
