"""What can be held of the site without Sphinx: `make site` builds it, and looks at every link of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from checker.ui.cli import app
from checker.ui.study import pages as lessons
from cluster import paths
from docs.site import commands, links, notebook, pages


def test_every_lesson_and_every_page_of_docs_is_in_the_navigation() -> None:
    listed = [name for part in pages.navigation().values() for name in part]
    written = {f"docs/{path.name}" for path in (paths.COURSE / "docs").glob("*.md")}
    assert written | {f"lessons/{page}" for page in lessons()} <= set(listed)
    assert len(set(listed)) == len(listed)
    assert [name for name in listed if name != pages.COMMANDS and not (paths.COURSE / name).is_file()] == []


def test_pages_are_laid_with_all_that_they_refer_to(tmp_path: Path) -> None:
    pages.lay(tmp_path)
    services = (tmp_path / "lessons" / "07-services.md").read_text()
    assert "(08-dns.md)" in services and ".ipynb)" not in services
    assert "(guestbook/ask.py.md)" in services and (tmp_path / "lessons" / "guestbook" / "ask.py.md").is_file()
    assert (tmp_path / "lessons" / "figures" / "07-way-of-a-request.svg").is_file()
    (picture,) = re.findall(r"\(pictures/([^)]*)\)", services)
    assert (tmp_path / "lessons" / "pictures" / picture).read_text().startswith("<svg ")
    index = (tmp_path / "index.md").read_text()
    assert index.count("lessons/07-services\n") == index.count("docs/class-security\n") == 1
    assert [path.name for path in (tmp_path / "lessons").glob("*.md") if "![](" in path.read_text()] == []
    assert '<a id="' not in (tmp_path / "lessons" / "glossary.md").read_text()  # the headings are the anchors


def test_a_link_to_a_section_of_a_lesson_has_the_anchor_of_the_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MyST gives headings the anchors that GitHub gives them; JupyterLab gives them others."""
    links = (
        "[a](lessons/14-policies.ipynb#%22And%22-and-%22or%22) [b](lessons/07-services.ipynb#From-outside%3A-NodePort)"
    )
    monkeypatch.setattr(pages, "_index", lambda: links)
    pages.lay(tmp_path)
    assert (tmp_path / "index.md").read_text() == (
        "[a](lessons/14-policies.md#and-and-or) [b](lessons/07-services.md#from-outside-nodeport)"
    )


def test_a_link_to_no_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "[here](CONTRIBUTING.md)\n```\n[code](no-link.md)\n```\n[there](../outside.md)"
    monkeypatch.setattr(pages, "_index", lambda: text)
    with pytest.raises(FileNotFoundError, match=r"links to \.\./outside\.md"):
        pages.lay(tmp_path)


def test_every_prediction_is_a_question_with_its_answer_folded() -> None:
    """The page does not show the call, which holds the answer."""
    asked = 0
    for page in lessons():
        held = json.loads((paths.COURSE / "lessons" / page).read_text())
        text, _ = notebook.page(held, page[:2])
        asked += (here := sum("".join(cell["source"]).startswith("predict(") for cell in held["cells"]))
        assert text.count(":class: prediction") == here and "predict(\n" not in text
    assert asked >= 3 * len(lessons())


def cell(source: str, *outputs: dict, id: str = "x") -> dict:
    return {"cell_type": "code", "id": id, "metadata": {}, "source": source, "outputs": list(outputs)}


def markdown(*of: dict) -> tuple[str, dict[str, str]]:
    return notebook.page({"cells": [{"cell_type": "markdown", "source": "# T"}, *of]}, "07")


def test_a_prediction() -> None:
    source = 'predict("Which `one`?", ["a", "b"], answer="b", because="It is b.")'
    text, _ = markdown(cell(source))
    assert "\nWhich `one`?\n\n- a\n- b\n\n<details><summary>Answer</summary>\n\n**b**\n\nIt is b.\n\n</details>" in text


def test_what_cells_put_out() -> None:
    def stream(text: str) -> dict:
        return {"output_type": "stream", "text": [text]}

    text, _ = markdown(cell("!a", stream("one\r\n"), stream("10 %\r20 %\r\n\x1b[1mbold\x1b[0m\n")))
    assert "```{code-block} ipython3\n\n!a\n```" in text
    assert "```{code-block} text\n:class: output\n\none\n20 %\nbold\n```" in text
    text, _ = markdown(cell("%%writefile work/a.yaml\na: 1\n"))
    assert "```{code-block} yaml\n:caption: `%%writefile work/a.yaml`\n\na: 1\n```" in text
    text, _ = markdown(cell("a", stream("a ``` b")))
    assert "````{code-block} text\n" in text
    text, drawn = markdown(
        cell("picture()", {"data": {"image/svg+xml": '<svg aria-label="Pod\n a_b"/>', "text/plain": "p"}})
    )
    assert drawn == {"07-x-0.svg": '<svg aria-label="Pod\n a_b"/>'} and "![Pod a\\_b](pictures/07-x-0.svg)" in text
    text, _ = markdown(
        cell("course()", {"data": {"text/html": '<a href="08-dns.ipynb">8</a>\n\n<p>', "text/plain": "p"}})
    )
    assert '<div class="output table"><a href="08-dns.html">8</a>\n<p></div>' in text


def test_the_output_of_a_command_is_wrapped_but_a_table_is_not() -> None:
    table = "NAME   READY   AGE\nsolo   1/1     5s"
    text, _ = markdown(cell("!a", {"output_type": "stream", "text": [table]}))
    assert f":class: output columns\n\n{table}" in text
    sentence = "  ✘ failed   A Pod that answers  0/2\n      Observed: Pod objects: none."
    text, _ = markdown(cell("!a", {"output_type": "stream", "text": [sentence]}))
    assert f":class: output\n\n{sentence}" in text


def test_a_hidden_wait_is_folded() -> None:
    """Its lines would tell the answer to the question before it. Only the comment is visible, as in JupyterLab."""
    wait = cell("# Wait until it <ended>.\n!kubectl wait pod a --for=condition=Ready")
    wait["metadata"] = {"jupyter": {"source_hidden": True}}
    text, _ = markdown(wait)
    assert "<details><summary>Wait until it &lt;ended&gt;.</summary>\n\n```{code-block} ipython3\n" in text
    assert text.rstrip().endswith("--for=condition=Ready\n```\n\n</details>")
    hidden = 0
    for page in lessons():
        cells = json.loads((paths.COURSE / "lessons" / page).read_text())["cells"]
        sources = ["".join(one["source"]) for one in cells if one["metadata"].get("jupyter", {}).get("source_hidden")]
        hidden += (here := sum(not source.startswith("predict(") for source in sources))
        assert notebook.page({"cells": cells}, page[:2])[0].count("<details><summary>Wait ") == here
    assert hidden


def test_every_command_and_option_is_on_the_page_of_commands() -> None:
    page = commands.page()

    def below(command: click.Command, path: str) -> Iterator[str]:
        yield path
        for name, one in getattr(command, "commands", {}).items():
            yield from below(one, f"{path} {name}")

    for path in below(app, "kubeclass"):
        assert f"# `{path}`\n" in page
        shown = CliRunner().invoke(app, [*path.split()[1:], "--help"]).output
        for option in re.findall(r"^  (?:-\w, )?(--[a-z-]+)", shown, re.MULTILINE):
            assert option in page.partition(f"# `{path}`\n")[2].partition("\n#")[0]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="b.html#there">b</a> <a href="https://kubernetes.io/">k</a>'
    )
    (tmp_path / "b.html").write_text('<p id="there"><a href="a.html">a</a><img src="p.svg"><a href="#there">b</a>')
    (tmp_path / "p.svg").write_text("<svg/>")
    return tmp_path


def test_a_site_whose_links_lead_somewhere(site: Path) -> None:
    assert links.wrong(site) == []
    assert links.outside(site) == ["https://kubernetes.io/"]


@pytest.mark.parametrize(
    ("html", "told"),
    [
        ('<a href="b.html#nowhere">', "c.html: b.html#nowhere has no such anchor"),
        ('<a href="d.html">', "c.html: d.html is no file"),
        ('<a href="../a.html">', "c.html: ../a.html is no file"),
        ('<img src="q.svg">', "c.html: q.svg is no file"),
        ('<script src="https://unpkg.com/x.js">', "c.html: <script> fetches https://unpkg.com/x.js"),
        ('<link href="//fonts.example/x.css">', "c.html: <link> fetches //fonts.example/x.css"),
        ('<p id="x"><p id="x">', "c.html: the anchor x is there more than once"),
    ],
)
def test_a_link_that_leads_nowhere_is_told(site: Path, html: str, told: str) -> None:
    (site / "c.html").write_text(html)
    assert links.wrong(site) == [told]
