"""`kubeclass bundle`: what a bundle holds, what is refused, and how a stopped save continues. The engine is made up."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
import stat
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from checker.ui.cli import app
from cluster import Problem, images, metrics_server, nodeimage, paths, space, tools
from cluster.bundle import archive, contents, wheels
from cluster.bundle import save as saving
from cluster.bundle import use as using
from cluster.process import finish
from cluster.up import node_image
from cluster.versions import versions

# An engine whose images are files in a folder. It counts what it is asked for.
ENGINE = """#!{python} -IS
import json, os, sys
from pathlib import Path
root = Path(os.environ["FAKE_ENGINE"])
words = sys.argv[1:]
with (root / "asked").open("a") as asked:
    asked.write(" ".join(words[:2]) + "\\n")
place = lambda name: root / "images" / (name.replace("/", "_") + ".json")
if words[0] == "version":
    print((root / "arch").read_text())
elif words[:2] == ["image", "inspect"]:
    if not place(words[-1]).exists():
        sys.exit("no such image")
    print(place(words[-1]).read_text())
elif words[0] == "info":
    print(root)
elif words[0] == "tag":
    place(words[2]).write_text(place(words[1]).read_text())
elif words[0] == "save":
    if (root / "broken").exists():
        sys.exit("the engine failed")
    Path(words[2]).write_text(json.dumps({{name: place(name).read_text() for name in words[3:]}}))
elif words[0] == "load":
    for name, text in json.load(sys.stdin).items():
        place(name).write_text(text)
else:
    sys.exit("unknown: " + " ".join(words))
"""


class Engine:
    """The made-up engine: a program `docker` on PATH."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "images").mkdir(parents=True)
        (root / "arch").write_text("amd64")

    def add(self, name: str, content: str = "1", **labels: str) -> None:
        found = {"RootFS": {"Layers": [f"sha256:{name}"]}, "Size": 10, "Config": {"Env": [content], "Labels": labels}}
        (self.root / "images" / (name.replace("/", "_") + ".json")).write_text(json.dumps([found]))

    def images(self) -> set[str]:
        return {path.stem for path in (self.root / "images").iterdir()}

    def asked(self, verb: str) -> int:
        """How often it was asked for something since the last call."""
        log = self.root / "asked"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return sum(line.startswith(verb) for line in lines)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Engine]:
    """Makes a machine of a name current, with an engine and a home of its own. The first call makes it."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(ENGINE.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.delenv("KIND_EXPERIMENTAL_PROVIDER", raising=False)
    monkeypatch.setattr(images, "prepare", lambda engine: None)
    monkeypatch.setattr(contents, "this_platform", lambda: "linux-amd64")
    monkeypatch.setattr(
        saving.wheels, "put_course", lambda folder: (folder / "kubeclass-1-py3-none-any.whl").write_text("course")
    )
    monkeypatch.setattr(saving.wheels, "download", downloaded)
    monkeypatch.setattr(tools, "will_do", lambda name, version: True)
    monkeypatch.setattr(tools, "version_of", lambda program, name: "v1.0.0")

    def make_current(name: str) -> Engine:
        root = tmp_path / name
        monkeypatch.setenv("FAKE_ENGINE", str(root / "engine"))
        monkeypatch.setenv("KUBECLASS_HOME", str(root / "home"))
        if not root.exists():
            return Engine(root / "engine")
        again = Engine.__new__(Engine)
        again.root = root / "engine"
        return again

    return make_current


def downloaded(folder: Path, platform: str, python: str) -> tuple[str, ...]:
    (folder / f"needed-{python}-{platform}.whl").write_text(f"{platform} {python}")
    return ("rare",) if python == "3.14" else ()


def teacher(machine: Callable[[str], Engine]) -> Engine:
    """A machine that has everything."""
    engine = machine("teacher")
    for name in (*images.all_names(), nodeimage.tag(), metrics_server.image()):
        engine.add(name)
    folder = tools.folder()
    folder.mkdir(parents=True)
    for name in contents.TOOLS:
        (folder / name).write_text(f"program {name}")
    return engine


@pytest.fixture
def bundle(machine: Callable[[str], Engine], tmp_path: Path) -> Path:
    """A bundle of a teacher's machine. Afterwards a learner's machine is current, which has nothing."""
    teacher(machine)
    saving.save(tmp_path / "kubeclass.tar")
    machine("learner")
    return tmp_path / "kubeclass.tar"


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}


def write(path: Path, contents_: dict[str, bytes], **types: bytes) -> None:
    """Write a tar by hand. types: of members that are no plain files."""
    with tarfile.open(path, "w") as tar:
        for name, content in contents_.items():
            info = tarfile.TarInfo(name)
            info.size, info.type = len(content), types.get(name, tarfile.REGTYPE)
            tar.addfile(info, io.BytesIO(content))


# -- the whole way ---------------------------------------------------------------------------------------------------


def test_a_machine_with_nothing_has_everything_after_use(bundle: Path, machine: Callable[[str], Engine]) -> None:
    engine = machine("learner")
    used = using.use(bundle)
    assert set(used.images) == {*images.all_names(), nodeimage.tag(), metrics_server.image()}
    assert used.tools == contents.TOOLS
    kubectl = paths.home() / "bin" / "kubectl"
    assert kubectl.read_text() == "program kubectl" and kubectl.stat().st_mode & stat.S_IXUSR
    assert node_image("docker") == nodeimage.tag()  # `up` asks for nothing else
    assert engine.asked("load") == 3


def test_what_is_there_already_is_not_loaded_again(bundle: Path, machine: Callable[[str], Engine]) -> None:
    engine = machine("learner")
    using.use(bundle)
    engine.asked("load")
    assert using.use(bundle) == using.Used((), ())
    assert engine.asked("load") == 0
    engine.add("redis:8", "another content")
    (paths.home() / "bin" / "kind").unlink()
    used = using.use(bundle)
    assert "redis:8" in used.images and used.tools == ("kind",)
    assert engine.asked("load") == 1


def test_a_pulled_node_image_gets_a_name_that_an_archive_can_hold(
    machine: Callable[[str], Engine], tmp_path: Path
) -> None:
    engine = teacher(machine)
    engine.add(versions()["node_image"]["image"], "pulled")
    saving.save(tmp_path / "b.tar")
    machine("learner")
    using.use(tmp_path / "b.tar")
    assert node_image("docker") == images.pinned_by_tag()


def test_the_commands_say_what_they_did(bundle: Path, machine: Callable[[str], Engine]) -> None:
    machine("learner")
    ran = CliRunner().invoke(app, ["bundle", "use", str(bundle)])
    assert ran.exit_code == 0, ran.output
    assert "3 tools (kind, kubectl, docker-compose)" in ran.output
    assert "kubeclass up needs no network now." in ran.output
    again = CliRunner().invoke(app, ["bundle", "use", str(bundle)])
    assert "This machine has everything" in again.output
    machine("teacher")
    saved = CliRunner().invoke(app, ["bundle", "save", str(bundle), "--platform", "linux-amd64"])
    assert "7 images, 3 tools and 5 wheels" in saved.output
    assert "The bundle lacks wheels for linux-amd64, Python 3.14: rare" in saved.output


def test_tar_takes_the_wheels_out_and_says_nothing(bundle: Path, tmp_path: Path) -> None:
    """So a machine that has no course yet gets it."""
    tar = shutil.which("tar", path="/usr/bin:/bin")
    assert tar, "The README's way onto a machine without a network needs tar."
    done = finish(tar, "xf", str(bundle), "-C", str(tmp_path), "wheels", timeout=20)
    assert (done.returncode, done.err) == (0, "")
    assert {path.name for path in (tmp_path / "wheels").iterdir()} == {
        "kubeclass-1-py3-none-any.whl",
        *(f"needed-{python}-linux-amd64.whl" for python in wheels.PYTHONS),
    }


# -- a save that was stopped -----------------------------------------------------------------------------------------


def test_a_stopped_save_keeps_what_is_whole_and_continues(machine: Callable[[str], Engine], tmp_path: Path) -> None:
    engine = teacher(machine)
    target = tmp_path / "kubeclass.tar"
    saving.save(target)
    whole = target.read_bytes()
    with tarfile.open(target) as tar:
        second = tar.getmembers()[1]
    part = archive.part_of(target)
    for end in (second.offset_data + 1, second.offset + 100):
        target.unlink()
        part.write_bytes(whole[:end])
        engine.asked("save")
        saving.save(target)
        assert engine.asked("save") == 2  # the first of three archives was there
        assert not part.exists() and target.read_bytes() == whole


def test_an_engine_that_fails_leaves_a_part_that_the_next_save_continues(
    machine: Callable[[str], Engine], tmp_path: Path
) -> None:
    engine = teacher(machine)
    target = tmp_path / "kubeclass.tar"
    (engine.root / "broken").touch()
    with pytest.raises(Problem, match="the engine failed"):
        saving.save(target)
    assert archive.part_of(target).exists() and not target.exists()
    (engine.root / "broken").unlink()
    saving.save(target)
    assert [path.name for path in tmp_path.glob("kubeclass.tar*")] == ["kubeclass.tar"]


@pytest.mark.parametrize("damage", ["a byte", "another image", "no tar"])
def test_what_is_wrong_or_not_wanted_in_a_part_is_written_again(
    damage: str, machine: Callable[[str], Engine], tmp_path: Path
) -> None:
    engine = teacher(machine)
    target = tmp_path / "kubeclass.tar"
    saving.save(target)
    part = archive.part_of(target)
    target.rename(part)
    if damage == "a byte":
        content = bytearray(part.read_bytes())
        with tarfile.open(part) as tar:
            content[tar.getmembers()[0].offset_data] ^= 1
        part.write_bytes(content)
    elif damage == "another image":
        engine.add("redis:8", "newer")
    else:
        part.write_bytes(b"x" * 3000)
    engine.asked("save")
    saving.save(target)
    assert engine.asked("save") == 3
    with archive.opened(target) as opened:
        opened.check()


def test_only_one_save_writes_a_file(machine: Callable[[str], Engine], tmp_path: Path) -> None:
    teacher(machine)
    part = archive.part_of(tmp_path / "b.tar")
    with part.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Problem, match="Another `kubeclass bundle save`"):
            saving.save(tmp_path / "b.tar")


def test_a_stopped_save_downloads_no_wheel_again(
    machine: Callable[[str], Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = teacher(machine)
    target = tmp_path / "kubeclass.tar"
    asked: list[str] = []

    def download(folder: Path, platform: str, python: str) -> tuple[str, ...]:
        asked.append(python)
        return downloaded(folder, platform, python)

    monkeypatch.setattr(saving.wheels, "download", download)
    (engine.root / "broken").touch()
    for expected in (list(wheels.PYTHONS), ["3.14"]):  # what could not be had whole is tried again
        with pytest.raises(Problem, match="the engine failed"):
            saving.save(target)
        assert asked == expected
        asked.clear()
    monkeypatch.setattr(saving.wheels, "requirements", lambda platform, python: {"other": ["other==1"]})
    (engine.root / "broken").unlink()
    saving.save(target)
    assert asked == list(wheels.PYTHONS)
    assert [path.name for path in tmp_path.glob("kubeclass.tar*")] == ["kubeclass.tar"]


# -- what is refused -------------------------------------------------------------------------------------------------


def test_every_damage_is_named_and_nothing_is_loaded(
    bundle: Path, machine: Callable[[str], Engine], tmp_path: Path
) -> None:
    whole, bad = members(bundle), tmp_path / "bad.tar"
    manifest = json.loads(whole["manifest.json"])

    def with_manifest(**changes: Any) -> dict[str, bytes]:
        return {**whole, "manifest.json": json.dumps({**manifest, **changes}).encode()}

    def without(name: str) -> dict[str, bytes]:
        return {one: content for one, content in whole.items() if one != name}

    flipped = {**whole, "tools/linux-amd64/kind": b"PROGRAM kind"}
    cases: list[tuple[dict[str, bytes], dict[str, bytes], str]] = [
        (flipped, {}, "tools/linux-amd64/kind in .* is damaged"),
        ({**whole, "images/node.tar": b"short"}, {}, "images/node.tar in .* is damaged"),
        (without("images/course.tar"), {}, "lacks images/course.tar"),
        (without("manifest.json"), {}, "its end is missing"),
        ({**whole, "wheels/more.whl": b"x"}, {}, "holds wheels/more.whl, and its manifest does not list it"),
        ({**whole, "../evil": b"x"}, {}, r"holds \.\./evil"),
        ({**whole, "wheels/../../evil": b"x"}, {}, r"holds wheels/\.\./\.\./evil"),
        ({**whole, "/etc/evil": b"x"}, {}, "holds /etc/evil"),
        ({**whole, "link": b""}, {"link": tarfile.SYMTYPE}, "holds link"),
        (with_manifest(kubeclass_bundle=2, members="of another shape"), {}, "made by a newer version"),
        (with_manifest(members=[{"name": 1}]), {}, "is not a bundle"),
        ({**whole, "manifest.json": b"\xff{"}, {}, "is not a bundle"),
        (with_manifest(architecture="arm64"), {}, "holds images for arm64, and the engine .* for amd64"),
    ]
    engine = machine("learner")
    for content, types, words in cases:
        write(bad, content, **types)
        with pytest.raises(Problem, match=words) as raised:
            using.use(bad)
        assert raised.value.next_step
    assert engine.images() == set() and not (paths.home() / "bin").exists()


def test_a_member_that_is_there_twice_is_refused(bundle: Path, tmp_path: Path) -> None:
    whole, bad = members(bundle), tmp_path / "bad.tar"
    with tarfile.open(bad, "w") as tar:
        for name in (*whole, "images/node.tar"):
            info = tarfile.TarInfo(name)
            info.size = len(whole[name])
            tar.addfile(info, io.BytesIO(whole[name]))
    with pytest.raises(Problem, match=r"holds images/node\.tar"):
        using.use(bad)


def test_a_file_that_is_cut_off_anywhere_is_refused(bundle: Path, tmp_path: Path) -> None:
    whole, bad = bundle.read_bytes(), tmp_path / "bad.tar"
    with tarfile.open(bundle) as tar:
        listed = tar.getmembers()[-1]
    ends = {0, 1, 511, 512, 700, *range(1024, listed.offset_data + listed.size, 1777)}
    for end in sorted(ends):
        bad.write_bytes(whole[:end])
        with pytest.raises(Problem, match=r"its end is missing|is not a bundle"), archive.opened(bad):
            pytest.fail(f"{end} bytes were taken for a bundle")


def test_other_files_are_no_bundle(machine: Callable[[str], Engine], tmp_path: Path) -> None:
    machine("learner")
    for content in (b"", b"no tar at all" * 100, bytes(10240), os.urandom(4096)):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(Problem, match="is not a bundle"):
            using.use(tmp_path / "file")
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(Problem, match="cannot be read"):
            using.use(path)


def test_a_bundle_of_another_version_of_the_course_is_refused(
    bundle: Path, machine: Callable[[str], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine("learner")
    monkeypatch.setattr(nodeimage, "tag", lambda: "kubeclass/node:newer")
    with pytest.raises(Problem, match=r"holds version .* of the course, with other images"):
        using.use(bundle)


def test_a_machine_for_which_the_bundle_has_no_tools_is_told(
    bundle: Path, machine: Callable[[str], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine("learner")
    monkeypatch.setattr(contents, "this_platform", lambda: "macos-amd64")
    with pytest.raises(Problem, match="has no kind or kubectl for macos-amd64"):
        using.use(bundle)


def test_an_engine_that_takes_an_archive_but_has_no_image_then_is_told(
    bundle: Path, machine: Callable[[str], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine("learner")
    monkeypatch.setattr(contents, "absent", lambda engine, held: list(held))
    with pytest.raises(Problem, match=r"The engine took images/course\.tar, but it does not have"):
        using.use(bundle)


def test_too_small_a_disk_is_told_before_anything_is_written(
    bundle: Path, machine: Callable[[str], Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space.shutil, "disk_usage", lambda folder: SimpleNamespace(free=space.GIB // 8))
    engine = machine("learner")
    with pytest.raises(Problem, match=r"has 0.1 GiB free, and 0.3 GiB are needed"):
        using.use(bundle)
    assert engine.images() == set()
    engine = machine("teacher")
    engine.asked("save")
    with pytest.raises(Problem, match="GiB are needed"):
        saving.save(tmp_path / "other.tar")
    assert engine.asked("save") == 0


def test_a_save_says_at_once_what_it_cannot_do(machine: Callable[[str], Engine], tmp_path: Path) -> None:
    engine = teacher(machine)
    with pytest.raises(Problem, match="runs images for amd64 on this machine, and not for arm64"):
        saving.save(tmp_path / "b.tar", "arm64")
    with pytest.raises(Problem, match="its folder does not exist"):
        saving.save(tmp_path / "no" / "b.tar")
    with pytest.raises(Problem, match="it is a folder"):
        saving.save(tmp_path)
    assert engine.asked("save") == 0


# -- wheels ----------------------------------------------------------------------------------------------------------


def test_what_a_platform_needs_is_by_its_own_markers() -> None:
    linux, mac = wheels.requirements("linux-amd64", "3.12"), wheels.requirements("macos-arm64", "3.12")
    assert {"jupyterlab", "msgspec", "pyyaml", "anyio"} <= linux.keys()
    assert "appnope" in mac and "appnope" not in linux  # ipykernel needs it on macOS
    assert linux["msgspec"][0].startswith("msgspec==") and ">=0.19" in linux["msgspec"][1]
    assert all(len(choices) in (1, 2) for choices in mac.values())


def test_a_package_without_a_wheel_is_named_and_the_others_are_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = {"good": ["good==1", "good"], "old": ["old==3", "old>=2"], "rare": ["rare==1", "rare"]}
    asked: list[tuple[str, ...]] = []

    def pip(*words: str) -> SimpleNamespace:
        asked.append(words[-3:])
        for gone in ("old==3", "rare==1", "rare"):
            if gone in words:
                return SimpleNamespace(returncode=1, out="", err=f"ERROR: No matching distribution found for {gone}\n")
        return SimpleNamespace(returncode=0, out="", err="")

    monkeypatch.setattr(wheels, "requirements", lambda platform, python: {k: list(v) for k, v in choices.items()})
    monkeypatch.setattr(wheels, "_pip", pip)
    assert wheels.download(tmp_path, "linux-amd64", "3.11") == ("rare",)
    assert asked[-1][-2:] == ("good==1", "old>=2")


def test_without_a_network_all_wheels_of_a_platform_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "requirements", lambda platform, python: {"a": ["a==1", "a"], "b": ["b==1"]})
    monkeypatch.setattr(wheels, "_pip", lambda *_: SimpleNamespace(returncode=1, out="", err="no route to host"))
    assert wheels.download(tmp_path, "linux-amd64", "3.11") == ("a", "b")


def test_without_pip_the_next_step_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Problem, match="has no pip, and uv is not installed"):
        wheels.put_course(tmp_path)


def test_the_manifest_lists_every_member_with_its_sum(bundle: Path) -> None:
    whole = members(bundle)
    listed = {one["name"]: one for one in json.loads(whole.pop("manifest.json"))["members"]}
    assert listed.keys() == whole.keys() and next(iter(whole)) == "images/course.tar"
    for name, content in whole.items():
        assert listed[name]["sha256"] == hashlib.sha256(content).hexdigest()
        assert listed[name]["size"] == len(content)
