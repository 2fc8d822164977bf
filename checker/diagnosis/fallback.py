"""Why a program takes its default address, localhost: a variable or a file that it reads is there under another name.

Sources: https://kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap/ and
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#environment-variables (envFrom, prefix)
"""

from __future__ import annotations

import re
from typing import Any

from checker.diagnosis.addresses import NAMES_A_HOST
from checker.diagnosis.configuration import explain_hidden_file, explain_missing_file, source_of_variable
from checker.model.fault import fail
from checker.model.spelling import nearest
from checker.model.state import Object, State

# How a program in a command reads a variable: Python, Node.js, Go, and a shell with a default.
_READS = re.compile(
    r"(?:environ(?:\.get)?\s*[\[(]\s*|getenv\(\s*|Getenv\(\s*|process\.env[.\[])['\"]?([A-Z][A-Z0-9_]+)|"
    r"\$\{([A-Z][A-Z0-9_]+):?[-=]"
)


def explain_fallback(state: State, pod: Object, spec: dict[str, Any], line: str) -> None:
    """Raise Failed where a container has the setting that its program looks for, but under another name.

    line: its complaint, about an address in its own Pod.
    """
    env = state.env(pod, spec)
    text = "\n".join([*(spec.get("command") or []), *(spec.get("args") or [])])
    for name in dict.fromkeys("".join(found) for found in _READS.findall(text)):
        if name in env or not NAMES_A_HOST.search(name):
            continue
        longer = sorted(one for one in env if one.endswith(name) or name.endswith("_" + one))
        given = longer[0] if longer else nearest(name, env, cutoff=0.75)
        if not given:
            continue
        source = source_of_variable(state, pod, spec, given)
        kind, origin = (source.kind, source.name) if source and source.kind else ("", "")
        facts = {"container": spec["name"], "variable": name, "near": given, "quote": line}
        prefix = _prefix(spec, given, origin)
        form = "prefix" if prefix and prefix + name == given else "default"
        fail("variable-not-set", pod, form=form, **facts, source_kind=kind, source=origin, prefix=prefix)
    log = state.log_if_read(pod.name, spec["name"]) or ""
    explain_hidden_file(state, pod, spec, log)
    explain_missing_file(state, pod, spec, log)


def _prefix(spec: dict[str, Any], variable: str, source: str) -> str:
    """The prefix that envFrom puts before a variable from a ConfigMap or Secret; empty for none."""
    for whole in spec.get("envFrom") or []:
        name = (whole.get("configMapRef") or whole.get("secretRef") or {}).get("name")
        if name == source and whole.get("prefix") and variable.startswith(whole["prefix"]):
            return str(whole["prefix"])
    return ""
