"""What the lines of a program's log complain of: a name that is not known, a connection refused, no answer in time.

The words are those of the C library, Go, Java, Node.js, Python and of common clients (curl, psql, redis-cli).

A complaint may be over. Three things show it: a later line that says the contrary of the same thing; the times of the
lines, where they are known; and, where they are not known, how many other lines follow.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal

Kind = Literal["certificate", "protocol", "credentials", "write", "name", "refused", "timeout", "denied", "answer"]

# By kind, in the order in which they are tried: the first that matches tells most.
_PATTERNS: tuple[tuple[Kind, str], ...] = (
    (
        "certificate",
        r"certificate.?verify.?failed|certificate (?:has expired|is valid for|is not valid|signed by unknown)|"
        r"x509: |self[- ]signed certificate|unable to get local issuer|cert_has_expired|err_tls_cert_altname|"
        r"unable_to_verify_leaf_signature|pkix path building failed|certificate problem",
    ),
    (
        "protocol",
        r"wrong version number|http request (?:was sent )?to (?:an )?https|http response to https client|"
        r"does not look like a tls|record layer failure|unknown protocol|packet length too long|"
        r"in violation of protocol",
    ),
    (
        "credentials",
        r"wrongpass|noauth|authentication (?:failed|required|error)|password authentication|access denied for user|"
        r"(?:invalid|incorrect|wrong|bad) (?:user ?name|password|credentials)|login (?:failed|incorrect)|"
        r"\b401\b.{0,20}unauthori[sz]ed|invalid username-password",
    ),
    ("write", r"read.?only (?:replica|slave)|oom command not allowed|misconf redis"),
    (
        "name",
        r"name or service not known|no such host|(?:could not|cannot|can't|unable to|failed to) resolve|"
        r"failure in name resolution|getaddrinfo|nodename nor servname|nxdomain|unknown ?host|"
        r"name does not resolve|"
        r"no address associated|enotfound|eai_again|bad address|can't find|could not translate host name|"
        r"host not found|name resolution|\[errno -[235]\]|"
        # what is no name at all: Python, Go, Java, Node.js
        r"invalid ?url|url can't contain|label empty or too long|invalid character .{1,6} in host name|"
        r"illegal character in (?:authority|host)|invalid (?:uri|hostname)|"
        r"unknown url type|unsupported protocol|no scheme supplied|missing protocol scheme|no host (?:given|supplied)",
    ),
    (
        "refused",
        r"connection refused|econnrefused|actively refused|(?:cannot|can't|could not|unable to|failed to) connect|"
        r"no route to host|network is unreachable|ehostunreach|connection reset|"
        r"errno[ =:]*(?:111|113)\b|os error (?:111|113)\b",  # in any language: ECONNREFUSED, EHOSTUNREACH on Linux
    ),
    ("timeout", r"timed? ?out|etimedout|deadline exceeded|not answer|no answer|errno[ =:]*110\b|os error 110\b"),
    # what a client says of a server's answer: Python, curl, Node.js, Go; not the server's own log of its requests
    (
        "answer",
        r"http error 50[0234]\b|returned error: 50[0234]\b|status code:? 50[0234]\b|\b50[0234] (?:server error|service "
        r"unavailable|bad gateway|gateway time-?out|internal server error)",
    ),
    ("denied", r"permission denied|eacces|operation not permitted|eperm\b|read-only file system|erofs\b"),
)
_WORDS = tuple((kind, re.compile(pattern, re.I)) for kind, pattern in _PATTERNS)
_LAST = 3  # lines: a complaint further up than that may be over, unless the log is full of complaints
# A complaint that came back at intervals is over when it has stayed away this number of times as long, and at least
# these seconds. A program that waits twice as long before each new try is still within that time. Where no other line
# follows, the program may write nothing but complaints, or hang: then it takes longer.
_ONE_TRY = 1.0  # seconds within which several lines are about one try
_TIMES_AS_LONG, _AT_LEAST = 3, 10.0
_TIMES_IN_SILENCE, _AT_LEAST_IN_SILENCE = 6, 30.0
# A line that says that something works. The first words are enough. The others must name what the complaint names.
_WORKS = re.compile(
    r"\b(?:re-?)?(?:connected|established)\b|\brecovered\b|\bauthenticated\b|\blogged in\b|"
    r"\bconnection (?:is )?(?:re-?)?(?:restored|ok|successful|succeeded|opened|made)\b|"
    r"\b(?:is|are) (?:back|reachable) ?(?:again|now)?\b",
    re.I,
)
_ANSWERS = re.compile(
    r"\bok\b|\b20[0-6]\b|\bsucce(?:ss|eded|ssful|ssfully)\b|\banswer(?:s|ed)\b|\brespond(?:s|ed)\b|\bresolved\b|\bready\b|"
    r"\b(?:up|available|healthy|alive|pong)\b|\b(?:got|received|read|stored|saved|fetched|loaded|served|says)\b",
    re.I,
)
_DOES_NOT = re.compile(
    r"\b(?:not|no|never|cannot|can't|couldn't|isn't|unable|without|until|fail\w*|error|lost|closed|wait\w*|try|trying|tries|"
    r"retry\w*|attempt\w*|connecting|reconnecting|will|unhealthy|unavailable|disconnected)\b",
    re.I,
)
_IN_EVERY_LINE = 0.8  # of the lines: a word in so many of them, such as a logger's name, tells nothing
_WORD = re.compile(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*", re.I)
# Words that tell nothing of what a line is about.
_COMMON_WORDS = """
    mon tue wed thu fri sat sun jan feb mar apr may jun jul aug sep oct nov dec get head put delete request
    a an and after again all at be been but by can client connect connected connecting connection could database do
    error errno established exception failed failure fatal for from get has have http https i in info io is it level
    log main msg name now of ok on or over port post ready recovered refused restored server service since still
    successfully tcp that the then time timed timeout to udp unknown warn warning was were with
"""
_COMMON = frozenset(_COMMON_WORDS.split())


@dataclass(frozen=True)
class Complaint:
    """One line of a log that complains, and of what."""

    kind: Kind
    line: str


@lru_cache(maxsize=4096)
def complaint_of(line: str) -> Complaint | None:
    """What one line complains of; None where it complains of nothing that is known here."""
    for kind, words in _WORDS:
        if words.search(line):
            own = re.sub(r"^statuscode: \d+, ", "", line)  # before the app's own words in its answer to a probe
            return Complaint(kind, re.sub(r"\s+", " ", own).strip()[:300])
    return None


@dataclass(frozen=True)
class _Line:
    """One line of a log that is not empty. age: in seconds; None where it is not known."""

    text: str
    age: float | None
    complaint: Complaint | None

    @property
    def subject(self) -> tuple[str, str]:
        """What it complains of, without what changes from time to time: numbers, and the time of day."""
        complaint = self.complaint
        return (complaint.kind, re.sub(r"\d+", "0", complaint.line)) if complaint else ("", "")


def _lines(text: str, ages: Sequence[float | None] = ()) -> list[_Line]:
    every = text.split("\n")
    known = ages if len(ages) == len(every) else [None] * len(every)
    return [_Line(line, age, complaint_of(line)) for line, age in zip(every, known, strict=True) if line.strip()]


def complaints(text: str) -> list[Complaint]:
    """The complaints of some lines of a log, newest first, each line once.

    A complaint is left out where a later line says that it is over.
    """
    return _newest_first(_without(_lines(text), _contradicted))


def complaints_that_last(text: str, ages: Sequence[float | None] = ()) -> list[Complaint]:
    """The same of a program that goes on: none where the lines after them show that it is over.

    ages: how many seconds old each line is; empty where that is not known.
    """
    lines = _without(_without(_lines(text, ages), _contradicted), _stays_away)
    matching = [bool(line.complaint) for line in lines]
    if any(matching[-_LAST:]) or sum(matching) * 3 >= max(1, len(matching)):
        return _newest_first(lines)
    return _newest_first([line for line in lines if line.complaint and _intervals(lines, line.subject)])


def _newest_first(lines: list[_Line]) -> list[Complaint]:
    return list(dict.fromkeys(line.complaint for line in reversed(lines) if line.complaint))


def _without(lines: list[_Line], is_over: Callable[[list[_Line], tuple[str, str]], bool]) -> list[_Line]:
    """The lines, of which those complain no more whose complaint is over."""
    over = {subject for subject in {line.subject for line in lines if line.complaint} if is_over(lines, subject)}
    return [replace(line, complaint=None) if line.subject in over else line for line in lines]


def _contradicted(lines: list[_Line], subject: tuple[str, str]) -> bool:
    """Whether a line after the last complaint of a subject says that it works now.

    Where such a line stands between two complaints, too, the fault comes and goes, and is not over.
    """
    places = [number for number, line in enumerate(lines) if line.subject == subject]
    told = Counter(word for line in lines for word in _words(line.text))
    about = set.union(*(_words(lines[number].text) for number in places))
    every = {word for word, times in told.items() if times >= _IN_EVERY_LINE * len(lines)}
    every = every if about - every else set()
    saying = [n for n in range(places[0], len(lines)) if _says_it_works(lines[n], about, every)]
    return bool(saying) and saying[0] > places[-1]


def _says_it_works(line: _Line, about: set[str], every: set[str]) -> bool:
    """Whether a line says that what some words are about works. every: words that all lines of the log have."""
    if line.complaint or _DOES_NOT.search(line.text):
        return False
    words = _words(line.text)
    if _WORKS.search(line.text) and (not words - every or words & about - every):
        return True
    return bool(_ANSWERS.search(line.text) and words & about)


def _words(text: str) -> set[str]:
    """The words of a line that may say what it is about."""
    return {word for found in _WORD.findall(text.lower()) if (word := found.strip(".")) not in _COMMON}


def _intervals(lines: list[_Line], subject: tuple[str, str]) -> tuple[float, float] | None:
    """The longest interval between two complaints of a subject, and the time since the last one, in seconds.

    None where the times are not known, or there is one complaint only.
    """
    ages = [line.age for line in lines if line.subject == subject]
    tries: list[float] = []
    for age in ages:
        if age is None:
            return None
        if not tries or tries[-1] - age >= _ONE_TRY:
            tries.append(age)
    if len(tries) < 2 or ages[-1] is None:
        return None
    return max(before - after for before, after in pairwise(tries)), ages[-1]


def _stays_away(lines: list[_Line], subject: tuple[str, str]) -> bool:
    """Whether a complaint that came back at intervals has stayed away for longer than that."""
    times = _intervals(lines, subject)
    if not times:
        return False
    interval, since = times
    if lines[-1].subject == subject:
        return since > max(_TIMES_IN_SILENCE * interval, _AT_LEAST_IN_SILENCE)
    return since > max(_TIMES_AS_LONG * interval, _AT_LEAST)
