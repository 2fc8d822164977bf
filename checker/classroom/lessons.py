"""The text of a lesson as a learner of a class gets it: the class's image names, and the learner's own namespaces.

A lesson works in namespace `learn`, and lessons 08, 09 and 14 create namespaces. In a class, a learner has no right to
create a namespace. The namespaces that the class gave for the labs take their places. A class that was made by an older
course may have fewer: then the lesson's own name stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from checker.classroom.joined import current_class
from checker.classroom.names import POLICIES
from checker.classroom.registry import prefixed
from checker.model.catalogue import say
from cluster import Cluster

# By the lesson's number: a namespace of the lesson, and the role of the namespace of the class in its place. A role is
# a suffix; "" is the learner's first namespace.
ROLES: dict[str, dict[str, str]] = {
    "08": {"learn-elsewhere": "data"},
    "09": {"learn-red": "blue", "learn-yellow": "green"},
    "14": {"learn": POLICIES, "learn-street": f"{POLICIES}-visitors", "learn-visitors": f"{POLICIES}-visitors"},
}
# `learn` alone is an everyday word, too. It is a namespace in a DNS name, in code, behind an option and in these words.
_ALONE = re.compile(r"(?:(?<=\.)|(?<=`)|(?<=-n )|(?<=ask )|(?<=namespace )|(?<=serviceaccount:))learn(?![\w-])")
_CLEAR = re.compile(r"^!kubeclass clear --yes$", re.MULTILINE)
_CREATE = re.compile(r"^!kubectl create namespace (\S+)$", re.MULTILINE)
_DELETE = re.compile(r"^!kubectl delete namespace ((?:[a-z][\w-]* )+)(--timeout=\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class InClass:
    """What differs in a class. registry: the prefix of the images; empty where the nodes have them.

    home: the learner's first namespace; empty outside a class. further: the further ones, by suffix.
    """

    registry: str = ""
    home: str = ""
    further: Mapping[str, str] = field(default_factory=dict)

    def text(self, number: str, text: str, is_code: bool) -> str:
        """A cell of a lesson. number: the lesson's."""
        if is_code and self.registry:
            text = prefixed(text, self.registry)
        return self._with_own_namespaces(number, text) if self.home else text

    def _with_own_namespaces(self, number: str, text: str) -> str:
        names = self._names(number)

        def own(found: re.Match[str]) -> str:
            return names.get(found[0], found[0])

        def is_there(found: re.Match[str]) -> str:
            return f"# {say('class-lesson-namespace', namespace=found[1])}" if found[1] in names else found[0]

        def emptied(found: re.Match[str]) -> str:
            doomed = found[1].split()
            if not set(doomed) <= names.keys():
                return found[0]
            return "\n".join(f"!kubectl delete all --all -n {name} {found[2]}" for name in doomed)

        text = _DELETE.sub(emptied, _CREATE.sub(is_there, text))
        text = re.sub(r"(?<![\w-])learn-[a-z]+(?![\w-])", own, text)
        text = _ALONE.sub(own, text)
        # Lesson 14 has a namespace of its own, and the lessons after it are in the learner's first namespace again.
        begin = "!kubeclass clear --yes --namespace {0}\n!kubectl config set-context --current --namespace {0}"
        return _CLEAR.sub(begin.format(names["learn"]), text)

    def _names(self, number: str) -> dict[str, str]:
        """The namespaces of a lesson that the learner has under another name."""
        known = {"": self.home, **self.further}
        roles = {**{f"learn-{suffix}": suffix for suffix in self.further}, **ROLES.get(number, {})}
        return {"learn": self.home} | {name: known[role] for name, role in roles.items() if role in known}


def in_class(cluster: Cluster) -> InClass:
    """What differs in the class that commands mean; nothing on any other cluster."""
    joined = current_class() if cluster.kind == "class" else None
    if not joined or joined.name != cluster.name:
        return InClass()
    return InClass(joined.registry, joined.namespace, joined.namespaces)
