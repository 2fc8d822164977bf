"""What the API server says to a manifest that it refuses, in a learner's words: what was found, and its own words.

`in_words` takes a message of `kubectl apply` and returns a Phrase for the messages that are known here. Any other stays
as it is. tests/unit/refusals.yaml holds messages of a real API server, for objects that are new and for changed ones.

Sources: https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation and
https://kubernetes.io/docs/reference/using-api/deprecation-guide/ (which version has a kind now).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from checker.model.fault import Phrase, Reason
from checker.model.kinds import KINDS
from checker.model.spelling import nearest

# What kubectl puts before the API server's words: how it got there, and the patch that it sent.
_BEFORE = re.compile(
    r'^(?:Error from server \(\w+\): )?(?:error: )?(?:error when \w+ "[^"]*": )?'
    r'(?:\w+ in version "[^"]+" cannot be handled as a \w+: |unable to decode "[^"]*": '
    r'|The request is invalid: patch: Invalid value: "map\[.*\]": |The \w+ "[^"]*" is invalid:\s+'
    r'|error validating "[^"]*": error validating data: |resource mapping not found for .* from "[^"]*": )?',
    re.DOTALL,
)
# Fields that learners write most, where each belongs. `containers[].image` is a field of each container.
_FIELDS = """
metadata.name metadata.namespace metadata.labels metadata.annotations
spec.replicas spec.selector spec.template spec.strategy spec.minReadySeconds spec.type spec.clusterIP
spec.schedule spec.jobTemplate spec.completions spec.parallelism spec.backoffLimit spec.serviceName
spec.volumeClaimTemplates spec.accessModes spec.storageClassName spec.selector.matchLabels
spec.ports[].port spec.ports[].targetPort spec.ports[].nodePort spec.ports[].protocol
template.spec.containers template.spec.initContainers template.spec.volumes template.spec.restartPolicy
template.spec.nodeSelector template.spec.serviceAccountName template.spec.tolerations template.spec.affinity
containers[].image containers[].imagePullPolicy containers[].command containers[].args containers[].env
containers[].envFrom containers[].ports containers[].resources containers[].volumeMounts
containers[].livenessProbe containers[].readinessProbe containers[].startupProbe containers[].securityContext
containers[].ports[].containerPort containers[].env[].value containers[].env[].valueFrom
containers[].volumeMounts[].mountPath resources.requests resources.limits readinessProbe.httpGet
readinessProbe.initialDelaySeconds readinessProbe.periodSeconds readinessProbe.failureThreshold
volumes[].configMap volumes[].secret volumes[].emptyDir volumes[].persistentVolumeClaim
"""
_PLACE_OF = {field.rpartition(".")[2].removesuffix("[]"): field for field in reversed(_FIELDS.split())}
_GO_FIELD = r"into Go struct field \S+ of type"
_FOUND = {"bool": "boolean", "number": "number", "int64": "number", "float64": "number"}


def in_words(message: Reason) -> Reason:
    """A refusal as a Phrase that says what was found and quotes the API server; the message itself where none fits."""
    if isinstance(message, Phrase):
        return message
    quote = said_by_api_server(message)
    for pattern, phrase in _MESSAGES:
        if found := re.search(pattern, quote):
            return phrase(quote, found)
    return message


def said_by_api_server(message: str) -> str:
    """The API server's own words of a message, without what kubectl put before them, and without a difference after.

    The first line of them, or all lines of a list of errors.
    """
    own = message[_BEFORE.match(message).end() :]  # type: ignore[union-attr] # it matches an empty text, too
    lines = [line.strip() for line in own.splitlines() if line.strip()]
    listed = [line.removeprefix("* ") for line in lines if line.startswith("* ")]
    return "; ".join(listed) if listed else (lines[0] if lines else message)


def _string_wanted(quote: str, found: re.Match[str]) -> Phrase:
    return Phrase("refused-string-wanted", {"quote": quote, "found": _FOUND[found[1]], "field": _go_field(quote)})


def _number_wanted(quote: str, found: re.Match[str]) -> Phrase:
    return Phrase("refused-number-wanted", {"quote": quote, "field": _go_field(quote)})


def _list_wanted(quote: str, found: re.Match[str]) -> Phrase:
    return Phrase("refused-list-wanted", {"quote": quote, "field": _go_field(quote)})


def _go_field(quote: str) -> str:
    """The field that a decoding error names, without the name of the Go type before it; empty where it names none."""
    found = re.search(r"Go struct field \w+\.(\S+)", quote)
    return found[1] if found else ""


def _no_such_kind(quote: str, found: re.Match[str]) -> Phrase:
    kind, version = found.groups()
    near = "" if kind in KINDS else nearest(kind, KINDS)
    known = KINDS.get(near or kind)
    now = known.group_version if known and known.group_version != version else ""
    facts = {"quote": quote, "kind": kind, "version": version, "known": known.name if known else "", "now": now}
    return Phrase("refused-no-such-kind", {**facts, "near": near or ""})


def _unknown_field(quote: str, found: re.Match[str]) -> Phrase:
    fields = re.findall(r'unknown field "([^"]+)"', quote)
    name = fields[0].rpartition(".")[2]
    near = nearest(name, _PLACE_OF) or "" if name not in _PLACE_OF else ""
    return Phrase(
        "refused-unknown-field", {"quote": quote, "fields": fields, "near": near, "place": _PLACE_OF.get(name, "")}
    )


def _missing(quote: str, found: re.Match[str]) -> Phrase:
    return Phrase("refused-field-missing", {"quote": quote, "fields": re.findall(r"(\S+): Required value(?!:)", quote)})


def _unsupported(quote: str, found: re.Match[str]) -> Phrase:
    field, value, listed = found.groups()
    facts = {"quote": quote, "field": field, "value": value}
    near = nearest(value, re.findall(r'"([^"]+)"', listed))
    return Phrase("refused-value-unsupported", {**facts, "near": near or ""})


def _about_field(phrase: str) -> Callable[[str, re.Match[str]], Phrase]:
    """A Phrase whose only other fact is the field or value that the pattern found, if it looked for one."""

    def made(quote: str, found: re.Match[str]) -> Phrase:
        facts: dict[str, Any] = {"quote": quote, "field": found[1] if found.re.groups else ""}
        return Phrase(phrase, facts)

    return made


# The first pattern that is found in the API server's words tells.
_MESSAGES: tuple[tuple[str, Callable[[str, re.Match[str]], Phrase]], ...] = (
    (rf"cannot unmarshal (number|bool) {_GO_FIELD} string", _string_wanted),
    (r"cannot convert (int64|float64|bool) to string", _string_wanted),
    (rf"cannot unmarshal string {_GO_FIELD} u?int|unrecognized type: u?int", _number_wanted),
    (rf"cannot unmarshal (?:object|string|number) {_GO_FIELD} \[\]|cannot restore slice from", _list_wanted),
    (r'no matches for kind "([^"]*)" in version "([^"]*)"', _no_such_kind),
    (r'unknown field "', _unknown_field),
    (r"(\S+): Required value(?!:)", _missing),
    (r"`selector` does not match template `labels`", _about_field("refused-selector-mismatch")),
    (r"(?:^|; )(\S+): Invalid value: .*: field is immutable", _about_field("refused-immutable")),
    (r"pod updates may not change fields other than", _about_field("refused-pod-update")),
    (r'metadata\.name: Invalid value: "([^"]*)"', _about_field("refused-name")),
    (r"^(apiVersion|kind) not set", _about_field("refused-not-set")),
    (r'(\S+): Unsupported value: "([^"]*)": supported values: (.*)', _unsupported),
    (r"illegal base64 data", _about_field("refused-base64")),
    (r"quantities must match the regular expression", _about_field("refused-quantity")),
)
