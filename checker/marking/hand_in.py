"""Receipts: the learner's own of a lab, and the teacher's of a class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from checker.collect.api import Api
from checker.grading.labs import Lab
from checker.marking import receipt
from checker.marking.keys import Key
from checker.marking.receipt import Receipt, receipt_of
from checker.marking.versions import kubernetes_of, versions_of
from checker.marking.whole_class import Look, Seen
from checker.model.catalogue import problem
from checker.model.state import State
from checker.model.verdict import Result
from cluster import Problem


@dataclass(frozen=True)
class Collected:
    """What became of one learner's hand-in. file: None where there is no receipt; then `status` says why.

    status: `written`, `not-begun`, `removed`, `not-seen` (see `why`) or `not-written` (see `why`).
    """

    look: Look
    status: str
    file: Path | None = None
    receipt: Receipt | None = None
    why: str = ""


def own_receipt(lab: Lab, state: State, result: Result, api: Api | None, class_name: str, learner: str) -> Receipt:
    """What a learner hands in. api: of the lab's cluster; None for the lab of the container engine.

    Raises Problem where the State is too large to be handed in.
    """
    versions = versions_of(lab, kubernetes_of(api) if api else "")
    made = receipt_of(lab, state, result, "learner", versions, class_name=class_name, learner=learner)
    if made.left_out == receipt.TOO_LARGE:
        raise problem("hand-in-too-large", lab=lab.number, most=receipt.LARGEST_STATE // 1_000_000)
    return made


def collected(api: Api, name: str, seen: Seen, folder: Path, key: Key) -> list[Collected]:
    """Write a signed receipt for each learner who has begun a lab. Raises Problem where the folder cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise problem("receipt-unwritable", file=folder, why=error.strerror) from None
    kubernetes = kubernetes_of(api)
    versions = {lab.number: versions_of(lab, kubernetes) for lab in seen.labs}
    return [_collected(look, name, versions[look.lab.number], folder, key) for look in seen.looks]


def _collected(look: Look, name: str, versions: dict[str, str], folder: Path, key: Key) -> Collected:
    if look.removed:
        return Collected(look, "removed")
    if look.why:
        return Collected(look, "not-seen", why=look.why)
    if not look.state or not look.result:
        return Collected(look, "not-begun")
    made = receipt_of(look.lab, look.state, look.result, "teacher", versions, class_name=name, learner=look.learner.id)
    try:
        receipt.write(folder / made.filename, made, key)
    except Problem as error:
        return Collected(look, "not-written", why=error.what)
    return Collected(look, "written", folder / made.filename, made)
