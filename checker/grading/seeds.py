"""Seeds: what makes a lab another one for each learner, and the same one each time for the same learner.

A lab with a generated set-up (setup.py) is made from a seed. `start` chooses it from the namespace and the learner's
name, or is given one, and keeps it in an annotation of the lab's namespace. There the seed is bound to that namespace's
uid. So a check notices a seed that was written by hand, or copied from another namespace.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from checker.model.catalogue import problem
from checker.model.fault import Ref, fail
from checker.model.state import State

SEED = "kubeclass.dev/seed"  # annotation of a lab's namespace: its seed, and what binds it to this namespace
_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}[A-Za-z0-9]|[A-Za-z0-9]")


def checked(seed: str) -> str:
    """A seed that was given, as it is. Raises Problem where it is none."""
    if not _FORM.fullmatch(seed):
        raise problem("no-seed", seed=seed)
    return seed


def bound(seed: str, uid: str) -> str:
    """The annotation's value for a seed in the namespace with this uid."""
    return f"{seed}.{hashlib.sha256(f'{seed}/{uid}'.encode()).hexdigest()[:10]}"


def seed_in(namespace: dict[str, Any]) -> str:
    """The seed that a Namespace was given, from its metadata; empty where it has none, or one that is not its own."""
    value = (namespace.get("annotations") or {}).get(SEED, "")
    seed = value.rpartition(".")[0]
    return seed if seed and value == bound(seed, namespace.get("uid", "")) else ""


def seed_of(state: State) -> str:
    """The seed of a State's lab. Raises Failed where the namespace does not hold the seed that `start` gave it."""
    namespace = state.find("Namespace", state.namespace)
    seed = seed_in(namespace.metadata) if namespace else ""
    if not namespace or not seed:
        written = namespace.annotations.get(SEED, "") if namespace else ""
        fail("seed-lost", Ref("Namespace", state.namespace), written=written)
    return seed
