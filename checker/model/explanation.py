"""Findings: what `kubeclass explain` says of a namespace, as plain data, as text, as HTML and as JSON."""

from __future__ import annotations

import html
import textwrap
from dataclasses import dataclass, field
from typing import Any

from checker.model.catalogue import catalogue
from checker.model.spelling import counted
from cluster.context import DEFAULT_NAMESPACE


@dataclass(frozen=True)
class Consequence:
    """An object that does not work because of a root somewhere else, and how that shows in the object itself."""

    object: str
    observed: str = ""
    namespace: str = ""


@dataclass(frozen=True)
class Finding:
    """One root: what is broken, how that was seen, and what follows from it.

    object: `Kind/name` of what somebody would change, which for a Pod is what it was made from; seen_at: where it was seen.
    """

    cause: str
    message: str
    object: str
    namespace: str
    expected: str = ""
    observed: str = ""
    look: str = ""
    seen_at: str = ""
    consequences: tuple[Consequence, ...] = ()

    @property
    def root(self) -> str:
        """`cause@Kind/name`, as the tests' cases write it."""
        return f"{self.cause}@{self.object}"

    @property
    def title(self) -> str:
        return catalogue()[self.cause].title if self.cause in catalogue() else self.cause

    @property
    def meaning(self) -> str:
        return catalogue()[self.cause].meaning if self.cause in catalogue() else ""

    @property
    def lesson(self) -> str:
        return catalogue()[self.cause].lesson if self.cause in catalogue() else ""

    @property
    def command(self) -> str:
        """Where to look: a command that shows the same evidence, from wherever it is typed."""
        look = self.look
        elsewhere = self.namespace not in ("", DEFAULT_NAMESPACE)
        if elsewhere and look.startswith("kubectl ") and not _SAYS_WHERE & set(look.split()):
            return look.replace("kubectl ", f"kubectl -n {self.namespace} ", 1)
        return look

    def to_json(self) -> dict[str, Any]:
        return {
            "cause": self.cause, "title": self.title, "message": self.message, "expected": self.expected,
            "observed": self.observed, "object": self.object, "namespace": self.namespace, "seen_at": self.seen_at,
            "look": self.command, "meaning": self.meaning, "lesson": self.lesson,
            "consequences": [
                {"object": c.object, "namespace": c.namespace, "observed": c.observed} for c in self.consequences
            ],
        }  # fmt: skip


# Words of a command that say where to look, or that it is about the whole cluster.
_SAYS_WHERE = {"-n", "--namespace", "-A", "--all-namespaces", "node", "nodes", "namespace", "namespaces",
               "persistentvolumes", "storageclasses", "ingressclasses", "priorityclasses", "runtimeclasses"}  # fmt: skip


@dataclass(frozen=True, repr=False)
class Explanation:
    """What is wrong in a namespace, or with one object of it; what could not be seen; what is still on its way.

    Shown in a notebook it reads as the report does.
    """

    namespace: str
    object: str = ""  # the one object that was asked about
    findings: tuple[Finding, ...] = ()
    unseen: tuple[Finding, ...] = ()
    in_progress: tuple[Finding, ...] = field(default=(), compare=False)

    @property
    def exit_code(self) -> int:
        """0 nothing is wrong; 1 something is; 2 nothing was found, but something could not be seen."""
        return 1 if self.findings else 2 if self.unseen else 0

    @property
    def summary(self) -> str:
        """The answer in one sentence."""
        where = f"{self.object} in namespace {self.namespace}" if self.object else f"Namespace {self.namespace}"
        if self.findings:
            return (
                f"{where}: {counted(len(self.findings), 'thing')} {'is' if len(self.findings) == 1 else 'are'} wrong."
            )
        if self.unseen:
            return f"{where}: nothing wrong was found, but not everything could be seen."
        return f"{where}: nothing is wrong."

    def to_json(self) -> dict[str, Any]:
        """The contract of `explain --json`."""
        return {
            "namespace": self.namespace, "object": self.object, "healthy": self.exit_code == 0, "summary": self.summary,
            "findings": [finding.to_json() for finding in self.findings],
            "unseen": [finding.to_json() for finding in self.unseen],
            "in_progress": [finding.to_json() for finding in self.in_progress],
        }  # fmt: skip

    def __repr__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)


def _details(finding: Finding) -> list[tuple[str, str]]:
    """The lines below a finding's headline, as (what it is, words)."""
    found = [("", finding.message or finding.title)]
    if finding.expected or finding.observed:
        found.append(
            ("", f"Expected: {finding.expected or '-'}. Observed: {(finding.observed or '-').rstrip('.')}.")
        )  # fmt: skip
    if finding.command:
        found.append(("Look: ", finding.command))
    if finding.meaning:
        found.append(("", f"{finding.meaning} (lesson {finding.lesson})"))
    return found


def _follows(finding: Finding) -> list[str]:
    return [
        f"{one.object}{f' in {one.namespace}' if one.namespace not in ('', finding.namespace) else ''}"
        f"{': ' + one.observed if one.observed else ''}"
        for one in finding.consequences
    ]


def text_of(explanation: Explanation, colour: bool = False) -> str:
    """The whole explanation, the root first. `colour`: with ANSI colours; the words say everything without them."""

    def styled(text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if colour else text

    def wrapped(text: str, indent: int) -> list[str]:
        return textwrap.wrap(
            text, 112, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2),
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip

    lines = [styled(explanation.summary, "1")]
    for finding in explanation.findings:
        lines.append(f"  {styled('✘ ' + finding.object, '31')}  {finding.title}  [{finding.cause}]")
        for label, words in _details(finding):
            lines += wrapped(label + words, 6)
        follows = _follows(finding)
        if follows:
            lines.append("      What follows from it:")
            for one in follows:
                lines += wrapped(one, 8)
    for finding in explanation.unseen:
        lines.append(f"  {styled('? not seen', '33')}  {finding.title}  [{finding.cause}]")
        lines += wrapped(finding.message, 6)
        if finding.command:
            lines += wrapped(f"Look: {finding.command}", 6)
    for finding in explanation.in_progress:
        lines += wrapped(f"… on its way: {finding.message or finding.title}", 2)
    return "\n".join(lines)


def html_of(explanation: Explanation) -> str:
    """The same words as HTML, readable in light and dark themes."""
    quoted = html.escape
    rows = [f"<p><b>{quoted(explanation.summary)}</b></p><ul style='list-style:none;padding-left:0'>"]
    for finding in explanation.findings:
        rows.append(
            f"<li style='margin-bottom:.5em'><b style='color:var(--jp-error-color0, inherit)'>✘ {quoted(finding.object)}</b> "
            f"<b>{quoted(finding.title)}</b> [{quoted(finding.cause)}]"
        )
        rows += [
            f"<br>{label}<code>{quoted(words)}</code>" if label else f"<br>{quoted(words)}"
            for label, words in _details(finding)
        ]
        if follows := _follows(finding):
            rows.append(f"<br>What follows from it:<ul>{''.join(f'<li>{quoted(one)}</li>' for one in follows)}</ul>")
        rows.append("</li>")
    for finding in explanation.unseen:
        rows.append(
            f"<li><b style='color:var(--jp-warn-color0, inherit)'>? not seen</b> <b>{quoted(finding.title)}</b> [{quoted(finding.cause)}]"
            f"<br>{quoted(finding.message)}<br>Look: <code>{quoted(finding.command)}</code></li>"
        )
    rows += [
        f"<li>… on its way: {quoted(finding.message or finding.title)}</li>" for finding in explanation.in_progress
    ]
    return "".join([*rows, "</ul>"])
