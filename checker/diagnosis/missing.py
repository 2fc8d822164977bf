"""Absence: what must be there, and where it is not, the nearest explanation of that."""

from __future__ import annotations

from typing import NoReturn

from checker.diagnosis.resources import refusal_cause
from checker.model.kinds import KINDS
from checker.model.spelling import nearest
from checker.model.state import LAB, WORKLOADS, Object, State
from checker.model.verdict import Failed, fail


def require(state: State, kind: str, name: str, namespace: str | None = None) -> Object:
    """One object of the lab's namespace, or of another one.

    Raises Failed with the nearest explanation of its absence: the namespace itself is gone, the manifest was
    refused, it is in another namespace, it has another name, another kind was made, or nothing like it exists.
    """
    found = state.find(kind, name, namespace)
    if found and not found.is_terminating:
        return found
    if found:
        fail("object-being-deleted", f"{kind} {name} is being deleted.", object=found.ref, pending=True)
    _explain_absence(state, kind, name, namespace or state.namespace)


def _explain_absence(state: State, kind: str, name: str, namespace: str) -> NoReturn:
    ref, expected = f"{kind}/{name}", f"{kind} {name} in namespace {namespace}"
    there = f" -n {namespace}" if namespace != state.namespace else ""
    look = f"kubectl get {KINDS[kind].plural} --all-namespaces"
    if "Namespace" not in state.unlisted and not state.find("Namespace", namespace):
        similar = nearest(namespace, [n.name for n in state.everywhere("Namespace") if LAB not in n.labels], 0.8)
        raise Failed(
            "namespace-missing", f"Namespace {namespace} does not exist."
            + (f" There is one called {similar}: is it meant?" if similar else ""),
            expected=expected, observed=similar or "none", object=ref, look="kubectl get namespaces",
        )  # fmt: skip
    # What `start` put into a further namespace of the lab is not the learner's, gone astray; nor is what belongs to the
    # one of two further namespaces missing from the other.
    siblings = {n for n in state.further() if namespace != state.namespace} | {namespace}
    elsewhere = [
        o for o in state.everywhere(kind) if o.name == name and o.namespace not in siblings and LAB not in o.labels
    ]
    if elsewhere and KINDS[kind].namespaced:
        where = ", ".join(sorted({o.namespace for o in elsewhere}))
        raise Failed(
            "wrong-namespace",
            f"{kind} {name} exists, but in namespace {where}; it is looked for in {namespace}.",
            expected=expected, observed=f"in namespace {where}", object=ref, look=look,
        )  # fmt: skip
    for refusal in state.refusals:
        if refusal["kind"] in (kind, "") and refusal["name"] in (name, ""):
            about_resources = refusal_cause(refusal["message"]) or "manifest-refused"
            cause = "manifest-malformed" if not refusal["kind"] else about_resources
            raise Failed(
                cause,
                f"{kind} {name} does not exist. Your file {refusal['file']} is refused: {refusal['message']}",
                expected=expected, observed=refusal["message"], object=ref,
                look=f"kubectl apply --dry-run=server -f FOLDER/{refusal['file']}",
            )  # fmt: skip
    same_name = [o for other in WORKLOADS if other != kind and kind in WORKLOADS
                 for o in state.objects.get(other, []) if o.namespace == namespace and o.name == name]  # fmt: skip
    bare = [o for o in same_name if o.kind == "Pod" and not o.controller]
    if bare:
        raise Failed(
            "bare-pod",
            f"There is a Pod {name}, but no {kind}: nothing would replace that Pod if it went away.",
            expected=expected, observed=f"Pod/{name}", object=ref, look=f"kubectl get pods,deployments{there}",
        )  # fmt: skip
    if same_name:
        other_kind = same_name[0].kind
        raise Failed(
            "wrong-kind",
            f"There is a {other_kind} {name}, but no {kind} of that name.",
            expected=expected, observed=same_name[0].ref, object=ref, look=f"kubectl get all{there}",
        )  # fmt: skip
    staying = [o for o in state.all(kind, namespace) if not o.is_terminating]
    made_by_hand = [o.name for o in staying if not o.controller]
    similar = nearest(name, made_by_hand, cutoff=0.6)
    if similar:
        raise Failed(
            "wrong-name",
            f"There is no {kind} {name}. There is one called {similar}: did you mean {name}?",
            expected=expected, observed=f"{kind}/{similar}", object=ref, look=f"kubectl get {KINDS[kind].plural}{there}",
        )  # fmt: skip
    others = ", ".join(sorted(made_by_hand)) or "none"
    if len(made_by_hand) < len(staying):
        others += f"{',' * bool(made_by_hand)} {'and' if made_by_hand else 'but'} those that controllers own"
    raise Failed(
        "object-missing",
        f"There is no {kind} {name} in namespace {namespace}.",
        expected=expected, observed=f"{kind} objects there: {others}", object=ref,
        look=f"kubectl get {KINDS[kind].plural}{there}",
    )  # fmt: skip
