"""What `kubeclass explain` found, as text and as HTML."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Sequence

from checker import session
from checker.classroom.target import target as meant
from checker.model.catalogue import say
from checker.model.explanation import Explanation, Finding
from checker.ui.suspects import kept_back, without_kept_back

ALIKE = 3  # so many findings that differ only in names are told as one, with the list of their objects
SHOWN = 10  # so many objects are listed after a finding; the others are counted. `--json` holds all of them


class ExplanationReport(Explanation):
    """An explanation that, shown in a notebook, reads as the report does."""

    def __repr__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)


def explain(
    target: str = "",
    name: str = "",
    *,
    namespace: str = "",
    wait: float = session.WAIT,
    context: str = "",
    kubeconfig: str = "",
) -> Explanation:
    """What is broken at the root in a namespace, or about one object:
    `explain()`, `explain("deploy/web")`, `explain("pod", "x")`.

    namespace: by default, the cluster's. context, kubeconfig: see classroom/target.py.
    wait: seconds that a change in progress is given. Raises Problem where there is no cluster, and for an unknown kind.
    What a lab asks the learner to find out is kept back (checker/ui/suspects.py).
    """
    cluster = meant(context, kubeconfig)
    found = session.explain(target, name, namespace=namespace, wait=wait, cluster=cluster)
    return ExplanationReport(**vars(without_kept_back(found)))


def _details(finding: Finding) -> list[tuple[str, str]]:
    """The lines below a finding's headline, as (what it is, words)."""
    found = [("", finding.message or finding.title)]
    if finding.expected or finding.observed:
        found.append(
            (
                "",
                say(
                    "expected-observed",
                    expected=finding.expected or "-",
                    observed=(finding.observed or "-").rstrip("."),
                ),
            )
        )
    if finding.command:
        found.append((say("look", command=""), finding.command))
    if finding.meaning:
        found.append(("", say("meaning", meaning=finding.meaning, lesson=finding.lesson)))
    return found


def alike(findings: Sequence[Finding]) -> list[list[Finding]]:
    """The findings in their order; those that say the same of different objects are together, where they are many.

    Each group is told by its first finding.
    """
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        name = re.escape(finding.object.partition("/")[2])
        sentence = re.sub(rf"(?<![\w-]){name}[\w.-]*", "", finding.message) if name else finding.message
        groups.setdefault((finding.cause, finding.namespace, sentence), []).append(finding)
    found: list[list[Finding]] = []
    for group in groups.values():
        found += [group] if len(group) >= ALIKE else [[finding] for finding in group]
    order = [id(finding) for finding in findings]
    return sorted(found, key=lambda group: order.index(id(group[0])))


def _shortened(words: list[str]) -> list[str]:
    """A list of objects as it is shown: a long one ends with how many more there are."""
    rest = len(words) - SHOWN
    return [*words[:SHOWN], say("explain-more", number=rest)] if rest > 1 else words


def _others(group: list[Finding]) -> list[str]:
    return _shortened([finding.object for finding in group[1:]])


def _follows(group: list[Finding]) -> list[str]:
    """What follows from some findings that are told as one."""
    return _shortened([words for finding in group for words in _follows_from(finding)])


def _follows_from(finding: Finding) -> list[str]:
    return [
        say(
            "explain-follows",
            object=one.object,
            observed=one.observed,
            elsewhere=one.namespace if one.namespace != finding.namespace else "",
        )
        for one in finding.consequences
    ]


def text_of(explanation: Explanation, colour: bool = False) -> str:
    """The whole explanation, the root first. `colour`: with ANSI colours; the words say everything without them."""

    def styled(text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if colour else text

    def wrapped(text: str, indent: int) -> list[str]:
        return textwrap.wrap(
            text,
            112,
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )

    lines = [styled(explanation.summary, "1")]
    for group in alike(explanation.findings):
        finding = group[0]
        lines.append(f"  {styled('✘ ' + finding.object, '31')}  {finding.title}  [{finding.cause}]")
        for label, words in _details(finding):
            lines += wrapped(label + words, 6)
        for heading, listed in (("explain-alike", _others(group)), ("explain-what-follows", _follows(group))):
            if listed:
                lines.append(f"      {say(heading, number=len(group) - 1)}")
                for one in listed:
                    lines += wrapped(one, 8)
    lines += wrapped(kept_back(explanation), 2)
    for finding in explanation.unseen:
        lines.append(f"  {styled('? ' + say('explain-not-seen'), '33')}  {finding.title}  [{finding.cause}]")
        lines += wrapped(finding.message, 6)
        if finding.command:
            lines += wrapped(say("look", command=finding.command), 6)
    for finding in explanation.in_progress:
        lines += wrapped(say("explain-in-progress", message=finding.message or finding.title), 2)
    for finding in explanation.remarks:
        lines += wrapped(say("explain-remark", object=finding.object, message=finding.message), 2)
        if finding.command:
            lines += wrapped(say("look", command=finding.command), 6)
    return "\n".join(lines)


def html_of(explanation: Explanation) -> str:
    """The same words as HTML, readable in light and dark themes."""
    quoted = html.escape
    rows = [f"<p><b>{quoted(explanation.summary)}</b></p><ul style='list-style:none;padding-left:0'>"]
    for group in alike(explanation.findings):
        finding = group[0]
        rows.append(
            "<li style='margin-bottom:.5em'><b style='color:var(--jp-error-color0, inherit)'>"
            f"✘ {quoted(finding.object)}</b> "
            f"<b>{quoted(finding.title)}</b> [{quoted(finding.cause)}]"
        )
        rows += [
            f"<br>{label}<code>{quoted(words)}</code>" if label else f"<br>{quoted(words)}"
            for label, words in _details(finding)
        ]
        for heading, listed in (("explain-alike", _others(group)), ("explain-what-follows", _follows(group))):
            if listed:
                rows.append(
                    f"<br>{quoted(say(heading, number=len(group) - 1))}"
                    f"<ul>{''.join(f'<li>{quoted(one)}</li>' for one in listed)}</ul>"
                )
        rows.append("</li>")
    if explanation.kept_back:
        rows.append(f"<li>{quoted(kept_back(explanation))}</li>")
    for finding in explanation.unseen:
        rows.append(
            f"<li><b style='color:var(--jp-warn-color0, inherit)'>? {quoted(say('explain-not-seen'))}</b> "
            f"<b>{quoted(finding.title)}</b> [{quoted(finding.cause)}]"
            f"<br>{quoted(finding.message)}<br>{quoted(say('look', command=''))}"
            f"<code>{quoted(finding.command)}</code></li>"
        )
    rows += [
        f"<li>{quoted(say('explain-in-progress', message=finding.message or finding.title))}</li>"
        for finding in explanation.in_progress
    ]
    rows += [
        f"<li>{quoted(say('explain-remark', object=finding.object, message=finding.message))}"
        f"<br>{quoted(say('look', command=''))}<code>{quoted(finding.command)}</code></li>"
        for finding in explanation.remarks
    ]
    return "".join([*rows, "</ul>"])
