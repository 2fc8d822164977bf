"""The file that a teacher hands out for a class."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from checker.classroom.access import ClassAccess, read, write
from cluster import Problem

ACCESS = ClassAccess(
    name="autumn",
    learner="ada",
    namespace="autumn-ada",
    namespaces={"data": "autumn-ada-data"},
    offers=["policies"],
    registry="registry.example/course",
    expires=datetime(2026, 12, 1, 18, 0, tzinfo=UTC),
    server="https://10.0.0.1:6443",
    authority="Q0VSVA==",
    token="secret",
)


def test_what_is_written_is_read_again_and_only_the_owner_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "ada.yaml"
    file.write_text("an older one, which all may read")
    file.chmod(0o644)
    write(file, ACCESS)
    assert read(file) == ACCESS
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_the_kubeconfig_in_it_has_one_context_of_the_class_with_the_namespace(tmp_path: Path) -> None:
    write(tmp_path / "ada.yaml", ACCESS)
    config = yaml.safe_load((tmp_path / "ada.yaml").read_text())["kubeconfig"]
    assert config["current-context"] == "autumn"
    assert config["contexts"] == [
        {"name": "autumn", "context": {"cluster": "autumn", "user": "autumn", "namespace": "autumn-ada"}}
    ]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"metadata": {"name": "../../etc"}}, "name"),
        ({"namespace": "Autumn Ada"}, "namespace"),
        ({"namespaces": {"data": "a/b"}}, "namespaces"),
        ({"expires": "tomorrow"}, "expires"),
        ({"expires": "2026-12-01T18:00:00"}, "expires"),
        ({"learner": None}, "learner"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_damaged_file_is_told_with_the_place(tmp_path: Path, change: dict[str, object], error: str) -> None:
    file = tmp_path / "ada.yaml"
    write(file, ACCESS)
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | change))
    with pytest.raises(Problem, match="is damaged") as caught:
        read(file)
    assert error in caught.value.what and "teacher" in caught.value.next_step


@pytest.mark.parametrize(
    ("user", "server"),
    [
        ({"exec": {"command": "/bin/sh"}}, {}),
        ({"token": "x", "tokenFile": "/etc/passwd"}, {}),
        ({"token": "x"}, {"server": "http://10.0.0.1"}),
        ({"token": "x"}, {"insecure-skip-tls-verify": True}),
        ({"token": "x"}, {"certificate-authority": "/etc/passwd"}),
    ],
)
def test_a_kubeconfig_that_runs_a_program_or_reads_a_file_is_refused(
    tmp_path: Path, user: dict[str, object], server: dict[str, object]
) -> None:
    file = tmp_path / "ada.yaml"
    write(file, ACCESS)
    document = yaml.safe_load(file.read_text())
    document["kubeconfig"]["users"][0]["user"] = user
    document["kubeconfig"]["clusters"][0]["cluster"] |= server
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(Problem, match="is damaged"):
        read(file)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[", "not one that a teacher"),
        ("apiVersion: v1\nkind: Config", "not one that a teacher"),
        ("apiVersion: kubeclass.dev/v9\nkind: ClassAccess", "kubeclass.dev/v9"),
        (None, "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_another_file_is_told(tmp_path: Path, text: str | bytes | None, error: str) -> None:
    file = tmp_path / "ada.yaml"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(Problem, match=error) as caught:
        read(file)
    assert caught.value.next_step
