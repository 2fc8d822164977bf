"""The mutants' generator: what it changes, that ids are stable and unique, that every exception names a real mutant."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from checker.grading.labs import Lab, all_labs, load_lab
from tests.mutants.mutate import Mutant, mutants
from tests.mutants.run import Outcome, equivalent, report, why_equivalent

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports:
  - {port: 80, targetPort: http}
"""


def lab_with(folder: Path, **files: str) -> Lab:
    (folder / "solution").mkdir()
    for name, text in files.items():
        (folder / "solution" / name.replace("_", ".")).write_text(text)
    return Lab("99", folder, load_lab("07").spec)


def test_every_part_that_matters_is_changed_once(tmp_path: Path) -> None:
    found = {m.id.removeprefix("web.yaml Service/web: "): m for m in mutants(lab_with(tmp_path, web_yaml=SERVICE))}
    assert set(found) == {
        "in another namespace",
        "metadata.name is 'webx'",
        "spec.selector dropped",
        "spec.selector.app is 'webx'",
        "spec.selector.app dropped",
        "spec.ports dropped",
        "spec.ports.0 dropped",
        "spec.ports.0.port is 0",
        "spec.ports.0.port is 81",
        "spec.ports.0.targetPort is 'httpx'",
    }
    changed = yaml.safe_load(found["spec.selector.app is 'webx'"].files["web.yaml"])
    assert changed["spec"] == {"selector": {"app": "webx"}, "ports": [{"port": 80, "targetPort": "http"}]}


def test_steps_are_left_out_and_changed_but_waiting_is_kept(tmp_path: Path) -> None:
    script = (
        "kubectl set env deployment a HOST=redis\n"
        "kubectl rollout status deployment a --timeout=60s\n"
        "kubectl scale deployment a \\\n  --replicas=3\n"
    )
    found = {m.id: m.script for m in mutants(lab_with(tmp_path, make_sh=script))}
    assert list(found) == [
        "make.sh without: kubectl set env deployment a HOST=redis",
        "make.sh with: kubectl set env deployment a HOST=redisx",
        "make.sh without: kubectl scale deployment a \\ --replicas=3",
        "make.sh with: kubectl scale deployment a \\ --replicas=1",
    ]
    assert found["make.sh without: kubectl scale deployment a \\ --replicas=3"].endswith("--timeout=15s\n")


@pytest.mark.parametrize("number", all_labs())
def test_a_lab_has_mutants_with_ids_of_their_own(number: str) -> None:
    ids = [mutant.id for mutant in mutants(load_lab(number))]
    assert len(ids) >= 4
    assert len(set(ids)) == len(ids)


def test_every_exception_names_a_mutant_that_exists() -> None:
    for number, exceptions in equivalent().items():
        for pattern, why in (exceptions or {}).items():
            numbers = all_labs() if number == "all" else [number]
            found = [m for n in numbers for m in mutants(load_lab(n)) if why_equivalent(m) == why]
            assert found, f"{number}: {pattern}"


def test_the_report_counts_what_a_grader_could_tell(tmp_path: Path) -> None:
    lab = lab_with(tmp_path, web_yaml=SERVICE)
    outcomes = [
        Outcome(Mutant(lab, str(n), {}, ""), word, "", 1.0)
        for n, word in enumerate(("killed", "killed", "refused", "survived", "broken"))
    ]
    text, unexplained = report(outcomes)
    assert "lab 99: 2 of 3 killed (67 %)" in text
    assert "99 3: SURVIVED" in text
    assert [outcome.mutant.id for outcome in unexplained] == ["3", "4"]
