"""What to attach to a report of a fault: the machine, the cluster, and on request a lab as it was judged.

It holds no Secret's value: the State of a receipt has none. Passwords in addresses and the name of the home folder are
taken out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from checker.classroom.target import target
from checker.collect.api import Api
from checker.marking.hand_in import own_receipt
from checker.marking.receipt import Receipt, document
from checker.session import Session
from cluster import Problem, doctor, status
from cluster.versions import course_version

_PASSWORD = re.compile(r"(?<=://)[^/\s@\"]+@")  # in an address such as that of a proxy


def gathered(lab: str = "", namespace: str = "") -> dict[str, Any]:
    """The parts of a report by name. A part that cannot be had is `{"missing": why}`.

    lab: a lab that was started; without it no lab is looked at.
    """
    parts: dict[str, Any] = {"version": course_version(), "machine": _clean(doctor.as_json(doctor.doctor()))}
    parts["cluster"] = _or_why(_cluster)
    if lab:
        parts["lab"] = _or_why(lambda: _lab(lab, namespace))
    return parts


def _or_why(part: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return part()
    except Problem as problem:
        return {"missing": problem.what}


def _cluster() -> dict[str, Any]:
    cluster = target()
    return _clean(status.status(cluster)) if cluster.kind == "own" else {"kind": cluster.kind}


def _lab(lab: str, namespace: str) -> dict[str, Any]:
    session = Session(lab, namespace)
    session.require_started()
    result, state = session.checked(0)
    api = None if session.lab.spec.needs.engine else Api(session.cluster)
    receipt = own_receipt(session.lab, state, result, api, "", "")
    return document(msgspec.convert(_clean(msgspec.to_builtins(receipt)), Receipt), None)


def _clean(data: Any) -> Any:
    """The same data without passwords in addresses, and with `~` for the home folder."""
    text = json.dumps(data, ensure_ascii=False)
    return json.loads(_PASSWORD.sub("***@", text).replace(str(Path.home()), "~"))
