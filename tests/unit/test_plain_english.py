"""The lessons, the labs and the pages in plain English. Each lesson has a figure and five questions.

Each glossary link has an entry.

What can be counted is counted: sentences of more than 25 words, sentences with more than one semicolon or more than one
pair of parentheses, and turns of phrase that a reader must read twice. `BUDGET` holds how many a text may have. A text
that was rewritten has none or few. A text that was not yet rewritten has the number that it had: it can only fall.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from cluster import paths

LESSONS = paths.COURSE / "lessons"
LONGEST = 25  # words in a sentence

BANNED = [
    r"\bwho(?:m|so)?ever\b",
    r"\bwhat is there goes\b",
    r"\b(?:is|are) none\b",
    r"\bthat one is\b",
    r"\banew\b",
    r"\bleads? nowhere\b",
    r"\bstands? (?:in|for|behind)\b",
    r"\b(?:no|some)body\b",
    r"\b(?:is|are) to be\b",
    r"\bmade up for\b",
    r"\bsome (?:\d+|\w+ty) (?:seconds|minutes|Pods)\b",
    r"\bfor what does not\b",
    r"\bno matter (?:who|whom)\b",
    r"\bto be had\b",
    r"\bbecomes? of\b",
    r"\bamiss\b",
    r"\bin force\b",
    r"\bfor ever\b",
    r"\b(?:brings?|brought) about\b",
]

# For each text: sentences that are too long; sentences with too many semicolons or parentheses; banned turns.
# A text that is not here has none.
BUDGET: dict[str, tuple[int, int, int]] = {
    "README.md": (1, 1, 0),
}

PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/class.md",
    "docs/class-learner.md",
    "docs/class-marks.md",
    "docs/hub.md",
    "docs/writing-a-course.md",
    "docs/writing-a-lab.md",
)
WITH_FIGURE = [f"{number:02}" for number in range(17)]  # the lessons that have an explanatory figure


def markdown_cells(lesson: Path) -> list[str]:
    """The texts of a notebook's Markdown cells, in order."""
    cells = json.loads(lesson.read_text(encoding="utf8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


def lab_texts(lab: Path) -> list[str]:
    """What a learner reads of a lab: title, goal, tasks, hints and debrief. lab: its lab.yaml."""
    spec: dict[str, Any] = yaml.safe_load(lab.read_text(encoding="utf8"))
    texts = [spec["title"], spec["goal"]]
    for task in spec["tasks"]:
        texts += [task["title"], task["text"], *task.get("hints", [])]
    debrief = spec.get("debrief", {})
    texts += [debrief.get("shown", ""), *debrief.get("others", {}).values(), debrief.get("mistake", "")]
    return texts


@cache
def all_texts() -> dict[str, list[str]]:
    """Every text that is counted, by its path in the course."""
    pages = [*(paths.COURSE / name for name in PAGES), LESSONS / "glossary.md"]
    texts = {str(page.relative_to(paths.COURSE)): [page.read_text(encoding="utf8")] for page in pages}
    texts |= {f"lessons/{path.name}": markdown_cells(path) for path in sorted(LESSONS.glob("[0-9][0-9]-*.ipynb"))}
    texts |= {
        f"labs/{path.parent.name}": lab_texts(path)
        for path in sorted((paths.COURSE / "labs").glob("[0-9][0-9]-*/lab.yaml"))
    }
    return texts


def blocks(text: str) -> Iterator[str]:
    """The paragraphs, headings, list items and table cells of a Markdown text, without code blocks."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    for paragraph in re.split(r"\n\s*\n", text):
        block: list[str] = []
        for line in paragraph.splitlines():
            if line.startswith("    ") and not block:
                continue  # an indented code block
            if line.lstrip().startswith("|"):
                yield from (cell.strip() for cell in line.strip().strip("|").split("|"))
                continue
            if block and re.match(r"\s*(?:[-*#]|\d+\.)\s", line):
                yield " ".join(block)
                block = []
            block.append(re.sub(r"^\s*(?:[-*]|#+|\d+\.)\s+", "", line).strip())
        yield " ".join(block)


def sentences(text: str) -> Iterator[str]:
    """The sentences of a Markdown text.

    A link counts as its words, and code as one word. Lists of links are left out.
    """
    for block in blocks(text):
        if block.startswith("More: ["):
            continue
        plain = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", block)
        plain = re.sub(r"`[^`]*`", "CODE", plain)
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", plain)
        plain = re.sub(r"<https?:[^>]*>", "LINK", plain).replace("*", "")
        yield from (sentence for sentence in re.split(r"(?<=[.!?])[\")”]*\s+(?=[\"(“A-Z])", plain) if sentence.strip())


def too_long(sentence: str) -> bool:
    return len([word for word in sentence.split() if re.search(r"\w", word)]) > LONGEST


def too_dense(sentence: str) -> bool:
    return sentence.count(";") > 1 or len(re.findall(r"\([^)]*\)", sentence)) > 1


def banned(sentence: str) -> list[str]:
    return [turn.group() for pattern in BANNED for turn in re.finditer(pattern, sentence, flags=re.I)]


@pytest.mark.parametrize("name", all_texts())
def test_a_text_is_plain_english(name: str) -> None:
    found = [sentence for text in all_texts()[name] for sentence in sentences(text)]
    long = [sentence for sentence in found if too_long(sentence)]
    dense = [sentence for sentence in found if too_dense(sentence)]
    turns = [f"{turn}: {sentence}" for sentence in found for turn in banned(sentence)]
    budget = BUDGET.get(name, (0, 0, 0))
    for what, them, most in zip(
        ("more than 25 words", "more than one semicolon or parenthesis", "a banned turn"),
        (long, dense, turns),
        budget,
        strict=True,
    ):
        assert len(them) <= most, f"{name} may have {most} sentences with {what}, and has {len(them)}:\n" + "\n".join(
            them
        )


def test_every_budget_belongs_to_a_text() -> None:
    assert set(BUDGET) <= set(all_texts())


@pytest.mark.parametrize(
    "text, expected",
    [
        ("The Pod is ready. The Service sends requests.", ["The Pod is ready.", "The Service sends requests."]),
        ("- one item (a [link](x.md))\n- `a; b`; two", ["one item (a link)", "CODE; two"]),
        ("| a b | c. D |\n|---|---|", ["a b", "c.", "D", "---", "---"]),
        ("Text.\n\n```yaml\na: b; c; d\n```\n\n![alt; text](figures/x.svg)\n\nMore: [a](b) · [c](d)", ["Text."]),
    ],
)
def test_sentences_are_told_apart(text: str, expected: list[str]) -> None:
    assert list(sentences(text)) == expected


def test_the_counts_see_what_they_are_for() -> None:
    assert too_long("word " * 26) and not too_long("word " * 25)
    assert too_dense("a; b; c") and too_dense("a (b) c (d)") and not too_dense("a; b (c)")
    assert banned("Whoever asks made it anew.") == ["Whoever", "anew"]


@pytest.mark.parametrize(
    "lesson", [pytest.param(path, id=path.name) for path in sorted(LESSONS.glob("[0-9][0-9]-*.ipynb"))]
)
def test_a_lesson_has_a_figure_with_a_text_alternative(lesson: Path) -> None:
    figures = re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", "\n".join(markdown_cells(lesson)))
    assert figures or lesson.name[:2] not in WITH_FIGURE
    for alternative, address in figures:
        assert len(alternative.split()) >= 10, f"{address} needs a text alternative that says what it shows"
        drawing = ElementTree.parse(LESSONS / address).getroot()
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
        if address.startswith("figures/"):
            assert all(
                drawing.findtext(f"{{http://www.w3.org/2000/svg}}{part}", "").strip() for part in ("title", "desc")
            )


@pytest.mark.parametrize(
    "lesson", [pytest.param(path, id=path.name) for path in sorted(LESSONS.glob("[0-9][0-9]-*.ipynb"))]
)
def test_a_lesson_has_five_questions_with_folded_answers_before_its_lab(lesson: Path) -> None:
    texts = markdown_cells(lesson)
    (quiz,) = [number for number, text in enumerate(texts) if text.startswith("## Five questions\n")]
    # Without the blank lines, JupyterLab and GitHub do not render the Markdown of the answer.
    answers = re.findall(
        r"^\*\*(\d)\. .+\?\*\*\n\n<details><summary>Answer</summary>\n\n(.+)\n\n</details>$", texts[quiz], flags=re.M
    )
    assert [number for number, _ in answers] == list("12345")
    assert texts[quiz].count("<details>") == texts[quiz].count("</details>") == 5
    if lesson.name[:2] != "00":  # the first lesson has no lab
        assert texts[quiz + 1].startswith("## Lab\n")


def glossary_entries() -> dict[str, str]:
    """The glossary's entries, by the fragment that leads to them (as GitHub makes it of a heading)."""
    parts = re.split(r"^### (.+)$", (LESSONS / "glossary.md").read_text(encoding="utf8"), flags=re.M)
    return {
        re.sub(r"[^\w-]", "", name.lower().replace(" ", "-")): text
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_each_glossary_link_leads_to_an_entry() -> None:
    entries = glossary_entries()
    linked = [
        fragment
        for lesson in LESSONS.glob("*.ipynb")
        for text in markdown_cells(lesson)
        for fragment in re.findall(r"\(glossary\.md#([^)]*)\)", text)
    ]
    assert linked and not set(linked) - set(entries)


def test_each_glossary_entry_can_be_linked_on_github_and_in_jupyterlab() -> None:
    """GitHub writes a fragment in small letters. JupyterLab keeps capitals: such an entry has its own anchor."""
    page = (LESSONS / "glossary.md").read_text(encoding="utf8")
    for name in re.findall(r"^### (.+)$", page, flags=re.M):
        fragment = name.lower().replace(" ", "-")
        assert fragment == name.replace(" ", "-") or f'<a id="{fragment}"></a>\n\n### {name}\n' in page, name


def test_each_glossary_entry_links_to_the_documentation() -> None:
    for name, text in glossary_entries().items():
        assert re.search(r"\]\(https://(?:kubernetes\.io|docs\.docker\.com)/", text), name
