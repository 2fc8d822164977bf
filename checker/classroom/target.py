"""Which cluster a command means. Everything that asks a cluster gets it from `target`.

It is a context that was named for this one command. Without that, it is the class that was joined. Without that, it is
the course's own kind cluster. No other kubeconfig and no other context is read.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from checker.classroom.joined import current_class
from checker.model.catalogue import problem, say
from cluster.context import Cluster, current
from cluster.language.not_yaml import NOT_YAML


def target(context: str = "", kubeconfig: str = "") -> Cluster:
    """The cluster that is meant.

    context: the name of a context, if somebody named one. kubeconfig: the file that holds it; by default those that
    kubectl reads (KUBECONFIG, or ~/.kube/config).
    Raises Problem for a file without a context, and for a context that no file holds.
    """
    if context:
        return _named(context, kubeconfig)
    if kubeconfig:
        raise problem("kubeconfig-without-context")
    joined = current_class()
    return joined.cluster if joined else current()


def unless_home(namespace: str) -> str:
    """A namespace for a command that is advised: "" where it need not be named, as the command goes there by itself."""
    return "" if namespace in ("", target().namespace) else namespace


def further_namespaces(cluster: Cluster) -> Mapping[str, str]:
    """The further namespaces that a class gave the learner, by suffix; none of another cluster."""
    joined = current_class() if cluster.kind == "class" else None
    return joined.namespaces if joined and joined.name == cluster.name else {}


def registry_of(cluster: Cluster) -> str:
    """The prefix of the course's images in a class that names one; empty elsewhere."""
    joined = current_class() if cluster.kind == "class" else None
    return joined.registry if joined and joined.name == cluster.name else ""


def options(cluster: Cluster) -> str:
    """What a command needs to mean a cluster that was named, for kubectl and kubeclass alike; "" for any other."""
    if cluster.kind != "named":
        return ""
    file = "" if cluster.kubeconfig in _files_of_kubectl() else f" --kubeconfig {shlex.quote(str(cluster.kubeconfig))}"
    return f" --context {shlex.quote(cluster.context)}{file}"


def _named(context: str, kubeconfig: str) -> Cluster:
    files = [Path(kubeconfig)] if kubeconfig else _files_of_kubectl()
    known: list[str] = []
    for file in files:
        contexts = _contexts(file, must_be_there=bool(kubeconfig))
        if context in contexts:
            namespace = contexts[context].get("namespace") or "default"
            return Cluster(context, file.absolute(), context, str(namespace), "named")
        known += contexts
    raise problem("no-such-context", context=context, files=[str(file) for file in files], contexts=known)


def _files_of_kubectl() -> list[Path]:
    """Source: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/"""
    named = [Path(name) for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    return named or [Path.home() / ".kube" / "config"]


def _contexts(file: Path, must_be_there: bool) -> dict[str, dict[str, Any]]:
    """The contexts of a kubeconfig by name. A file that is not there has none, unless it must be there."""
    try:
        config = yaml.load(file.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
        contexts = {str(entry["name"]): entry.get("context") or {} for entry in config.get("contexts") or []}
        if not all(isinstance(context, dict) for context in contexts.values()):
            raise TypeError("a context is a mapping")
        return contexts
    except FileNotFoundError as error:
        if not must_be_there:
            return {}
        raise problem("named-kubeconfig-unreadable", file=file, why=error.strerror) from None
    except OSError as error:
        raise problem("named-kubeconfig-unreadable", file=file, why=error.strerror) from None
    except NOT_YAML:
        raise problem("named-kubeconfig-unreadable", file=file, why=say("why-no-kubeconfig")) from None
