"""What the lines of a program's log complain of: a name that is not known, a connection refused, no answer in time.

The words are those of the C library, Go, Java, Node.js, Python and of common clients (curl, psql, redis-cli).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Kind = Literal["certificate", "protocol", "credentials", "name", "refused", "timeout", "denied"]

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
    ("denied", r"permission denied|eacces|operation not permitted|eperm\b"),
)
_WORDS = tuple((kind, re.compile(pattern, re.I)) for kind, pattern in _PATTERNS)
_LAST = 3  # lines: a complaint further up than that may be over, unless the log is full of complaints


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


def complaints(text: str) -> list[Complaint]:
    """The complaints of some lines of a log, newest first, each line once."""
    found = [complaint_of(line) for line in reversed(text.splitlines())]
    return list(dict.fromkeys(one for one in found if one))


def complaints_that_last(text: str) -> list[Complaint]:
    """The same of a program that goes on: none where the lines after them show that it is over."""
    lines = [line for line in text.splitlines() if line.strip()]
    matching = [bool(complaint_of(line)) for line in lines]
    if any(matching[-_LAST:]) or sum(matching) * 3 >= max(1, len(matching)):
        return complaints(text)
    return []
