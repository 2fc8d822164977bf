"""Absence: what must be there, and where it is not, the nearest explanation of that."""

from __future__ import annotations

from typing import NoReturn

from checker.diagnosis.refusals import in_words
from checker.diagnosis.resources import refusal_cause
from checker.model.fault import Ref, fail
from checker.model.kinds import KINDS
from checker.model.spelling import nearest
from checker.model.state import LAB, WORKLOADS, Object, State


def require(state: State, kind: str, name: str, namespace: str | None = None) -> Object:
    """One object of the lab's namespace, or of another one.

    Raises Failed with the nearest explanation of its absence: the namespace itself is gone, the manifest was
    refused, it is in another namespace, it has another name, another kind was made, or nothing like it exists.
    """
    found = state.find(kind, name, namespace)
    if found and not found.is_terminating:
        return found
    if found:
        fail("object-being-deleted", found, in_progress=True)
    _explain_absence(state, kind, name, namespace or state.namespace)


def _explain_absence(state: State, kind: str, name: str, namespace: str) -> NoReturn:
    """Raise Failed with the nearest explanation why an object is not there. namespace: where it should be."""
    namespaced, plural = KINDS[kind].namespaced, KINDS[kind].plural
    wanted = Ref(kind, name, namespace if namespaced else "")
    elsewhere = namespace if namespace != state.namespace else ""  # what the command to look must name
    if state.namespace_exists(namespace) is False:
        known = [n.name for n in state.everywhere("Namespace") if LAB not in n.labels]
        near = nearest(namespace, known, cutoff=0.8)
        fail("namespace-missing", wanted, form="of-object", missing_namespace=namespace, near=near)
    # What `start` put into a further namespace of the lab is not the learner's, gone astray; nor is what belongs to the
    # one of two further namespaces missing from the other.
    siblings = {n for n in state.further() if namespace != state.namespace} | {namespace}
    astray = [
        o for o in state.everywhere(kind) if o.name == name and o.namespace not in siblings and LAB not in o.labels
    ]
    if astray and namespaced:
        fail("wrong-namespace", wanted, namespaces=sorted({o.namespace for o in astray}), plural=plural)
    _explain_refused(state, wanted)
    if kind in WORKLOADS:
        _explain_other_kind(state, wanted, elsewhere)
    staying = [o for o in state.all(kind, namespace) if not o.is_terminating]
    made_by_hand = sorted(o.name for o in staying if not o.controller)
    near = nearest(name, made_by_hand, cutoff=0.6)
    if near:
        fail("wrong-name", wanted, near=near, plural=plural, elsewhere=elsewhere)
    owned = len(staying) - len(made_by_hand)
    fail("object-missing", wanted, others=made_by_hand, owned=owned or None, plural=plural, elsewhere=elsewhere)


def _explain_refused(state: State, wanted: Ref) -> None:
    """Raise Failed where the API server refuses the learner's manifest of the object."""
    for refusal in state.refusals:
        if refusal["kind"] in (wanted.kind, "") and refusal["name"] in (wanted.name, ""):
            file, reason = refusal["file"], refusal["message"]
            if not refusal["kind"]:
                fail("manifest-malformed", wanted, file=file, reason=reason)
            if about_resources := refusal_cause(reason):
                fail(about_resources, wanted, form="manifest", file=file, reason=reason)
            fail("manifest-refused", wanted, file=file, reason=in_words(reason))


def _explain_other_kind(state: State, wanted: Ref, elsewhere: str) -> None:
    """Raise Failed where a workload of the same name has another kind. elsewhere: see _explain_absence."""
    same_name = [
        o
        for kind in WORKLOADS
        if kind != wanted.kind
        for o in state.objects.get(kind, [])
        if (o.namespace, o.name) == (wanted.namespace, wanted.name)
    ]
    if any(o.kind == "Pod" and not o.controller for o in same_name):
        fail("bare-pod", wanted, elsewhere=elsewhere)
    if same_name:
        fail("wrong-kind", wanted, other_kind=same_name[0].kind, elsewhere=elsewhere)
