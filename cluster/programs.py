"""The programs of a kind node, built from Go modules: for a machine that reaches package registries, but no images.

Each program is built once. It is kept in the course's cache, under a name that tells what it is built from.
A build that was stopped continues with the next program. Go's checksum database vouches for the sources.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cluster import paths, up_progress
from cluster.engine import install_packages
from cluster.language import problem, say
from cluster.process import finish, run, succeeds
from cluster.progress import step, tell
from cluster.versions import versions

GO_MINIMUM = (1, 26)
AFTERWARDS = 90  # seconds until an image is made of the programs


@dataclass(frozen=True)
class Program:
    """One program, and how it is built.

    module: a key of versions.json, or of its `modules`. package: its Go package.
    minutes: how long it takes on 2 cores, where Go has not built anything of it before.
    """

    module: str
    package: str
    minutes: float
    flags: tuple[str, ...] = ()
    cgo: bool = False
    own_module: str = ""  # set for modules with replace directives, which `go install` refuses


_K8S = "k8s.io/kubernetes/cmd/"
_CNI = "github.com/containernetworking/plugins/plugins/"
_CONTAINERD = "github.com/containerd/containerd/v2/cmd/"
_PLAIN_FS = ("-tags", "no_btrfs no_zfs no_devmapper")

PROGRAMS = {
    "kubeadm": Program("kubernetes", _K8S + "kubeadm", 2.5, own_module="kubernetes"),
    "kubectl": Program("kubernetes", _K8S + "kubectl", 0.7, own_module="kubernetes"),
    "kube-proxy": Program("kubernetes", _K8S + "kube-proxy", 0.7, own_module="kubernetes"),
    "kube-scheduler": Program("kubernetes", _K8S + "kube-scheduler", 0.9, own_module="kubernetes"),
    "kubelet": Program("kubernetes", _K8S + "kubelet", 1.6, own_module="kubernetes"),
    "kube-controller-manager": Program("kubernetes", _K8S + "kube-controller-manager", 1.2, own_module="kubernetes"),
    "kube-apiserver": Program("kubernetes", _K8S + "kube-apiserver", 2.0, own_module="kubernetes"),
    "etcd": Program("etcd", "go.etcd.io/etcd/server/v3", 0.7, own_module="etcd"),
    "docker-compose": Program("docker-compose", "github.com/docker/compose/v2/cmd", 2.0, own_module="compose"),
    "kind": Program("kind", "sigs.k8s.io/kind", 0.2),
    "host-local": Program("cni-plugins", _CNI + "ipam/host-local", 0.1),
    "loopback": Program("cni-plugins", _CNI + "main/loopback", 0.1),
    "ptp": Program("cni-plugins", _CNI + "main/ptp", 0.1),
    "portmap": Program("cni-plugins", _CNI + "meta/portmap", 0.1),
    "containerd": Program("containerd", _CONTAINERD + "containerd", 0.8, _PLAIN_FS),
    "containerd-shim-runc-v2": Program("containerd", _CONTAINERD + "containerd-shim-runc-v2", 0.2, _PLAIN_FS),
    "ctr": Program("containerd", _CONTAINERD + "ctr", 0.2, _PLAIN_FS),
    "coredns": Program("coredns", "github.com/coredns/coredns", 1.5),
    "local-path-provisioner": Program("local-path-provisioner", "github.com/rancher/local-path-provisioner", 0.5),
    "kube-router": Program("kube-router", "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router", 2.0),
    "metrics-server": Program("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server", 3.0),
    "runc": Program("runc", "github.com/opencontainers/runc", 0.3, ("-tags", "seccomp"), cgo=True),
}
NODE_PROGRAMS = tuple(name for name in PROGRAMS if name not in ("docker-compose", "kind", "metrics-server"))
COMPILER_PACKAGES = ("gcc", "libc6-dev", "libseccomp-dev", "pkg-config")


def version(program: Program) -> str:
    """The pinned version of a program's module."""
    data = versions()
    return str(data["modules"].get(program.module) or data[program.module]["version"])


def place(name: str) -> Path:
    """Where a built program is kept: its name carries its version and a digest of how it is built."""
    program = PROGRAMS[name]
    digest = hashlib.sha256(f"{program}{version(program)}".encode()).hexdigest()[:8]
    return paths.cache() / "programs" / f"{name}-{version(program)}-{digest}" / name


def build(*names: str) -> Path:
    """Build what is missing of these programs, and return the place of the last one.

    Raises Problem without a recent Go, and where a build fails.
    """
    missing = [name for name in names if not place(name).exists()]
    if missing:
        _require_go()
        minutes = sum(PROGRAMS[name].minutes for name in missing)
        tell(say("programs-building", number=len(missing), minutes=round(max(minutes, 1))))
    for number, name in enumerate(missing, 1):
        up_progress.estimate(60 * sum(PROGRAMS[other].minutes for other in missing[number - 1 :]) + AFTERWARDS)
        facts = {"program": name, "version": version(PROGRAMS[name]), "number": number, "total": len(missing)}
        with step(say("program-step", **facts)):
            _build_one(name)
    return place(names[-1])


def _require_go() -> None:
    go = shutil.which("go")
    output = run("go", "env", "GOVERSION") if go else ""
    found = re.match(r"go(\d+)\.(\d+)", output)
    if not found or tuple(map(int, found.groups())) < GO_MINIMUM:
        wanted = ".".join(map(str, GO_MINIMUM))
        raise problem("go-old" if output else "go-missing", wanted=wanted, found=output.strip())


def _environment(cgo: bool) -> dict[str, str]:
    return {**os.environ, "GOFLAGS": "-buildvcs=false -mod=mod", "CGO_ENABLED": "1" if cgo else "0"}


def _build_one(name: str) -> None:
    program, target = PROGRAMS[name], place(name)
    if program.cgo and not (shutil.which("gcc") and succeeds("pkg-config", "--exists", "libseccomp")):
        install_packages(*COMPILER_PACKAGES)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        output = Path(work) / name
        if program.own_module:
            _build_in_own_module(name, program, Path(work), output)
        else:
            env = {**_environment(program.cgo), "GOBIN": work, "GOFLAGS": "-buildvcs=false"}
            _go(
                env,
                work,
                "install",
                "-trimpath",
                "-ldflags",
                "-s -w",
                *program.flags,
                f"{program.package}@{version(program)}",
            )
        output.chmod(0o755)
        output.rename(target)


def _build_in_own_module(name: str, program: Program, work: Path, output: Path) -> None:
    """Build from a module of our own that requires the program's: `go install` refuses one with replace directives."""
    module = work / "module"
    module.mkdir()
    lines, ldflags = {"kubernetes": _kubernetes, "etcd": _etcd, "compose": _compose}[program.own_module]()
    (module / "go.mod").write_text("\n".join(lines) + "\n")
    env = _environment(cgo=False)
    # `tidy` also looks for what the tests of dependencies need, and complains where that is gone: -e goes on.
    finish("go", "mod", "tidy", "-e", timeout=1800, env=env, cwd=str(module))
    _go(env, str(module), "build", "-trimpath", "-ldflags", f"-s -w {ldflags}", "-o", str(output), program.package)


def module_folder(module: str) -> Path:
    """The folder of a module's source in Go's module cache. `module` is path@version."""
    return Path(json.loads(run("go", "mod", "download", "-json", module, timeout=600))["Dir"])


def _kubernetes() -> tuple[list[str], str]:
    wanted = versions()["modules"]["kubernetes"]
    minor = wanted.removeprefix("v1.")
    theirs = (module_folder(f"k8s.io/kubernetes@{wanted}") / "go.mod").read_text()
    staging = re.findall(r"^\s*(k8s\.io/\S+) v0\.0\.0$", theirs, re.M)
    go_line = re.search(r"^go .*$", theirs, re.M)
    assert go_line, "kubernetes' go.mod has a go line"
    lines = ["module kubeclass/node", go_line.group(), f"require k8s.io/kubernetes {wanted}"]
    lines += [f"require {path} v0.{minor}" for path in dict.fromkeys(staging)]
    lines += [f"tool {program.package}" for program in PROGRAMS.values() if program.own_module == "kubernetes"]
    base = "k8s.io/component-base/version"
    values = {
        f"{base}.gitVersion": wanted,
        f"{base}.gitMajor": "1",
        f"{base}.gitMinor": minor.split(".")[0],
        f"{base}.gitTreeState": "clean",
        "k8s.io/client-go/pkg/version.gitVersion": wanted,
    }
    return lines, " ".join(f"-X {name}={value}" for name, value in values.items())


def _etcd() -> tuple[list[str], str]:
    wanted = versions()["modules"]["etcd"]
    parts = ("server", "api", "client/pkg", "client", "pkg")
    requires = [f"require go.etcd.io/etcd/{part}/v3 {wanted}" for part in parts]
    return ["module kubeclass/etcd", "go 1.26.0", "tool go.etcd.io/etcd/server/v3", *requires], ""


def _compose() -> tuple[list[str], str]:
    wanted = versions()["docker-compose"]["version"]
    lines = [
        "module kubeclass/compose",
        "go 1.24.9",
        "tool github.com/docker/compose/v2/cmd",
        f"require github.com/docker/compose/v2 {wanted}",
    ]
    return lines, f"-X github.com/docker/compose/v2/internal.Version={wanted}"


def _go(env: dict[str, str], cwd: str, *arguments: str) -> None:
    run("go", *arguments, timeout=1800, env=env, cwd=cwd)


if __name__ == "__main__":
    build(*sys.argv[1:])
