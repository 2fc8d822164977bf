"""A receipt: what one learner had reached in one lab at one time, as a JSON file that can be judged again.

    kind: kubeclass.dev/receipt
    format: 1
    by: teacher                     # who looked: the teacher, or the learner
    class: autumn                   # empty on a cluster of the learner's own
    learner: ada                    # empty there, too
    lab: "07"
    time: 2026-12-01T18:00:00Z      # by the API server's clock
    versions: {course: 0.1.0, …}    # checker/marking/versions.py
    score: 5
    max_score: 7
    tasks: […]                      # as in `kubeclass check --json`
    state: {…}                      # what was judged; null where it was too large
    normalized: true                # whether the State is normalised as recordings are
    digest: sha256:…                # over all of this
    signature: {key: …, hmac: …}    # the teacher's receipts only: over the same

No Secret's value is in a receipt. `tasks` are the verdicts on `state` as it is in the receipt. So the same versions of
course and lab give the same verdicts again, word by word.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from checker.grading.grade import judge
from checker.grading.labs import Lab
from checker.marking.keys import Key
from checker.model.catalogue import problem
from checker.model.state import State
from checker.model.verdict import Result
from checker.recording.normalize import normalised
from checker.recording.unread import NotRecorded, watched

KIND = "kubeclass.dev/receipt"
FORMAT = 1
LARGEST_STATE = 2_000_000  # characters of JSON; a lab's State has about 100,000
LARGEST_FILE = 2 * LARGEST_STATE  # bytes that are read of a file
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
TOO_LARGE, NOT_THE_SAME = "too-large", "not-the-same"  # why a receipt has no State
TAMPERED, NOT_JUDGED = 1, 2  # exit statuses
Name = Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?\Z", max_length=63)]


class TaskOfReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """One task, with the fields of `kubeclass check --json`."""

    id: str
    title: str
    points: int
    verdict: Literal["passed", "failed", "unknown"]
    cause: str = ""
    message: str = ""
    expected: str = ""
    observed: str = ""
    object: str = ""
    look: str = ""


class Receipt(msgspec.Struct, frozen=True, kw_only=True, rename={"class_name": "class"}):
    """See the module's text."""

    by: Literal["teacher", "learner"]
    class_name: Name
    learner: Name
    lab: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{2}\Z")]
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    versions: dict[str, str]
    score: int
    max_score: int
    tasks: list[TaskOfReceipt]
    state: dict[str, Any] | None
    normalized: bool
    left_out: str = ""

    @property
    def filename(self) -> str:
        return f"{self.lab}-{self.learner}.json" if self.learner else f"{self.lab}.json"

    def judged(self, lab: Lab) -> Result:
        """The verdicts that today's graders give its State.

        Raises NotRecorded where they read what the receipt does not hold, and any error for a malformed State.
        """
        return judge(lab, _read_state(self.state or {}, self.normalized))


def receipt_of(
    lab: Lab, state: State, result: Result, by: Literal["teacher", "learner"], versions: dict[str, str], **who: str
) -> Receipt:
    """The receipt of a State and of the verdicts on it. who: class_name and learner.

    The State is normalised as recordings are. Where that would change a verdict or a cause, it is kept as it was seen.
    """
    kept, normalized, tasks, why = _kept(lab, state, result)
    return Receipt(
        by=by,
        class_name=who["class_name"],
        learner=who["learner"],
        lab=lab.number,
        time=state.now.astimezone(UTC).replace(microsecond=0),
        versions=versions,
        score=result.score,
        max_score=result.max_score,
        tasks=[msgspec.convert(task.to_json(), TaskOfReceipt) for task in tasks.tasks],
        state=kept,
        normalized=normalized,
        left_out=why,
    )


def _kept(lab: Lab, state: State, result: Result) -> tuple[dict[str, Any] | None, bool, Result, str]:
    """The State as a receipt holds it, whether it is normalised, the verdicts on it, and why there is no State."""
    why = NOT_THE_SAME
    for normalized in (True, False):
        try:
            data = _without_secrets(normalised(state) if normalized else json.loads(json.dumps(state.to_json())))
            if len(canonical(data)) > LARGEST_STATE:
                why = TOO_LARGE
                continue
            again = judge(lab, _read_state(json.loads(json.dumps(data)), normalized))
        except (Exception, NotRecorded):  # what this State has was in no recording yet: it is kept as it was seen
            continue
        if _outcome(again) == _outcome(result):
            return data, normalized, again, ""
    return None, False, result, why


def _read_state(data: dict[str, Any], normalized: bool) -> State:
    state = State.from_json(data)
    return watched(state) if normalized else state


def _outcome(result: Result) -> list[tuple[str, str, str]]:
    return [(task.id, task.verdict, task.cause) for task in result.tasks]


def _without_secrets(data: dict[str, Any]) -> dict[str, Any]:
    """The same State. A State has no Secret's value to begin with (`visible_objects`); this makes sure of it."""
    for secret in data["objects"].get("Secret", []):
        secret["data"] = dict.fromkeys(secret.get("data") or {}, "")
        secret.pop("stringData", None)
        (secret["metadata"].get("annotations") or {}).pop(LAST_APPLIED, None)
    return data


# -- the file ---------------------------------------------------------------------------------------------------------


def canonical(data: Any) -> bytes:
    """JSON that is the same for the same data: sorted keys, no spaces, nothing but ASCII."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def document(receipt: Receipt, key: Key | None) -> dict[str, Any]:
    """What is in the file of a receipt. key: signs it; None for a learner's own."""
    content = {"kind": KIND, "format": FORMAT, **msgspec.to_builtins(receipt)}
    signed = canonical(content)
    content["digest"] = _digest(signed)
    return content | ({"signature": {"key": key.id, "hmac": key.sign(signed)}} if key else {})


def write(file: Path, receipt: Receipt, key: Key | None) -> None:
    """Write a receipt whole or not at all, so that only its owner may read it. Raises Problem.

    Of two commands that write the same file at the same time, one wins.
    """
    text = json.dumps(document(receipt, key), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    new = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as made:
            made.write(text)
        new.replace(file)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise problem("receipt-unwritable", file=file, why=error.strerror) from None


def _digest(signed: bytes) -> str:
    return f"sha256:{hashlib.sha256(signed).hexdigest()}"


def read(file: Path) -> tuple[Receipt, dict[str, Any]]:
    """A receipt, and all that its file holds. Whether it was changed is not checked here.

    Raises Problem for a file that is none, is malformed, or is of a newer version.
    """
    try:
        with file.open("rb") as opened:
            raw = opened.read(LARGEST_FILE + 1)
    except OSError as error:
        raise problem("receipt-unreadable", why=error.strerror, exit_code=NOT_JUDGED) from None
    if len(raw) > LARGEST_FILE:
        raise problem("receipt-too-large", most=LARGEST_FILE // 1_000_000, exit_code=NOT_JUDGED)
    try:
        content = json.loads(raw.decode(), parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        raise problem("receipt-broken", exit_code=NOT_JUDGED) from None
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise problem("receipt-other-file", exit_code=NOT_JUDGED)
    number = content.get("format")
    if isinstance(number, int) and number > FORMAT:
        raise problem("receipt-newer", found=number, known=FORMAT, exit_code=NOT_JUDGED)
    try:
        if number != FORMAT:
            raise msgspec.ValidationError(f"format {number!r}")
        return msgspec.convert(content, Receipt), content
    except (ValueError, RecursionError) as error:  # also half of a surrogate pair, which is no UTF-8
        raise problem("receipt-malformed", why=error, exit_code=NOT_JUDGED) from None


def _refuse(constant: str) -> None:
    """NaN and Infinity are no JSON. Source: https://www.rfc-editor.org/rfc/rfc8259#section-6"""
    raise ValueError(constant)


def _finite(text: str) -> float:
    """A number of JSON. Raises ValueError for 1e999, which would be infinity."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number


def check(receipt: Receipt, content: dict[str, Any], key: Key | None) -> None:
    """Return if nothing was changed since the receipt was written, and its signature is by this key.

    A learner's own receipt has no signature: somebody who changes it can make a new digest. Raises Problem otherwise.
    """
    signed = canonical({name: value for name, value in content.items() if name not in ("digest", "signature")})
    if content.get("digest") != _digest(signed):
        raise problem("receipt-tampered", exit_code=TAMPERED)
    if receipt.by != "teacher":
        return
    signature = content.get("signature")
    if not isinstance(signature, dict) or not isinstance(signature.get("hmac"), str):
        raise problem("receipt-unsigned", exit_code=TAMPERED)
    if not key:
        raise problem("receipt-no-key", name=receipt.class_name, exit_code=NOT_JUDGED)
    if signature.get("key") != key.id:
        raise problem("receipt-other-key", name=receipt.class_name, exit_code=TAMPERED)
    if not key.has_signed(signed, signature["hmac"]):
        raise problem("receipt-tampered", exit_code=TAMPERED)
