"""A kind node image without any image registry: Debian packages, programs built from Go modules, kind's own base files.

What kubeadm and kind ask for by name (image tags, the sandbox image, the storage manifest) is read from them, not
repeated here. Tried with cgroup v1 and v2, with and without CAP_SYS_RESOURCE.
"""

from __future__ import annotations

import ast
import hashlib
import re
import shutil
import tempfile
from pathlib import Path

from cluster import programs
from cluster.engine import install_packages
from cluster.language import problem, say
from cluster.process import finish, run, succeeds
from cluster.program_text import text_of
from cluster.progress import step
from cluster.versions import versions
from cluster.waiting import wait_until

RECIPE = Path(__file__).parent / "recipe"
# systemd 252 of Debian bookworm still boots on a cgroup v1 host; 257 of trixie does not.
ROOT_PACKAGES = (
    "systemd,dbus,conntrack,iptables,nftables,ipset,iproute2,ethtool,util-linux,mount,kmod,libseccomp2,ca-certificates,"
    "curl,jq,procps,socat"
)
_ENTRY = 'ENTRYPOINT ["/usr/local/bin/{program}"]'
_PATH = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def tag() -> str:
    """The name of the image: the Kubernetes version, and a digest of all that the image is built from.

    This module counts by what it does. A changed comment, docstring or line break gives the same name.
    """
    parts = [path.read_bytes() for path in sorted(RECIPE.iterdir())]
    parts += [_program_of(Path(__file__)).encode(), str(versions()["modules"]).encode()]
    digest = hashlib.sha256(b"".join(parts)).hexdigest()[:8]
    return f"kubeclass/node:{versions()['modules']['kubernetes']}-{digest}"


def _program_of(module: Path) -> str:
    """A module's code without comments, docstrings and line breaks."""
    tree = ast.parse(module.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
    return text_of(tree)


def build(engine: str) -> str:
    """Build the image where the engine has not got it yet, and return its name. Raises Problem where that fails."""
    if succeeds(engine, "image", "inspect", tag()):
        return tag()
    programs.build(*programs.NODE_PROGRAMS)
    needed = {"mmdebstrap": "mmdebstrap", "gcc": "gcc"}
    absent = [package for program, package in needed.items() if not shutil.which(program)]
    absent += [] if Path("/bin/busybox").exists() else ["busybox-static"]
    if absent:
        install_packages(*absent, *(["libc6-dev"] if "gcc" in absent else []))
    with tempfile.TemporaryDirectory(prefix="kubeclass-node-") as work:
        _Builder(engine, Path(work)).build()
    return tag()


class _Builder:
    def __init__(self, engine: str, work: Path) -> None:
        self.engine, self.work = engine, work
        self.kind = programs.module_folder(f"sigs.k8s.io/kind@{versions()['kind']['version']}")
        self.storage = (self.kind / "pkg/build/nodeimage/const_storage.go").read_text()
        self.images: list[str] = []

    def build(self) -> None:
        with step(say("node-root-step")):
            make_root(
                self.engine,
                "kubeclass/node-root:local",
                versions()["debian"]["node"],
                "minbase",
                ROOT_PACKAGES,
                self.work,
            )
        with step(say("node-system-images-step")):
            self._system_images()
        with step(say("node-image-step")):
            self._node()
            self._preload()

    def _image(self, name: str, folder: Path, dockerfile: str) -> None:
        (folder / "Dockerfile").write_text(dockerfile)
        docker_build(self.engine, folder, name)
        self.images.append(name)

    def _program_image(self, name: str, program: str, base: str = "scratch", entry: bool = False) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.work))
        shutil.copy(self._pause() if program == "pause" else programs.place(program), folder / program)
        lines = [f"FROM {base}", f"COPY {program} /usr/local/bin/{program}", _PATH]
        self._image(name, folder, "\n".join([*lines, _ENTRY.format(program=program) if entry else ""]))

    def _pause(self) -> Path:
        """Kubernetes' own pause program: 60 lines of C in its source."""
        output = self.work / "pause"
        if not output.exists():
            source = (
                programs.module_folder(f"k8s.io/kubernetes@{versions()['modules']['kubernetes']}")
                / "build/pause/linux/pause.c"
            )
            run("gcc", "-static", "-Os", "-o", str(output), str(source))
        return output

    def _system_images(self) -> None:
        version = versions()["modules"]["kubernetes"]
        wanted = run(
            str(programs.place("kubeadm")), "config", "images", "list", "--kubernetes-version", version
        ).split()
        for name in wanted:
            program = name.rsplit("/", 1)[1].split(":")[0]
            # kube-proxy calls iptables and its like; the others need nothing beside themselves.
            base = "kubeclass/node-root:local" if program == "kube-proxy" else "scratch"
            self._program_image(name, program, base, entry=program in ("coredns", "pause"))
        containerd = (self.kind / "images/base/files/etc/containerd/config.toml").read_text()
        sandbox = _found(r'sandbox_image = "(.*)"', containerd)
        if sandbox not in self.images:
            self._program_image(sandbox, "pause", entry=True)
        self._program_image(self._storage_image("Provisioner"), "local-path-provisioner", entry=True)
        # It calls iptables and ipset.
        self._program_image("kubeclass/policies:1", "kube-router", "kubeclass/node-root:local", entry=True)
        folder = Path(tempfile.mkdtemp(dir=self.work))
        shutil.copy("/bin/busybox", folder / "busybox")
        install = 'RUN ["/bin/busybox", "--install", "-s", "/bin"]'
        self._image(
            self._storage_image("Helper"),
            folder,
            f"FROM scratch\nCOPY busybox /bin/busybox\n{install}\nENV PATH=/bin\n",
        )
        folder = Path(tempfile.mkdtemp(dir=self.work))
        shutil.copy(programs.place("kubectl"), folder / "kubectl")
        shutil.copy(RECIPE / "route-pods", folder / "route-pods")
        lines = [
            "FROM kubeclass/node-root:local",
            "COPY kubectl route-pods /usr/local/bin/",
            "RUN chmod 755 /usr/local/bin/*",
            'ENTRYPOINT ["/usr/local/bin/route-pods"]',
        ]
        self._image("kubeclass/route-pods:1", folder, "\n".join(lines))

    def _storage_image(self, role: str) -> str:
        return _found(rf'(?m)^const storage{role}Image = "docker.io/(.*)"', self.storage)

    def _storage_manifest(self) -> str:
        manifest = _found(r"(?s)const defaultStorageManifest = `\n(.*?)\n`\n", self.storage)
        for role in ("Provisioner", "Helper"):
            manifest = manifest.replace(f"` + storage{role}Image + `", f"docker.io/{self._storage_image(role)}")
        return manifest

    def _node(self) -> None:
        node = self.work / "node"
        for name in ("cni", "bin", "manifests"):
            (node / name).mkdir(parents=True)
        shutil.copytree(self.kind / "images/base/files", node / "files")
        run("chmod", "-R", "u+w", str(node / "files"))
        for target, names in {
            node / "cni": ("host-local", "loopback", "ptp", "portmap"),
            node / "bin": ("containerd", "ctr", "containerd-shim-runc-v2"),
            node: ("runc", "kubeadm", "kubelet", "kubectl"),
        }.items():
            for name in names:
                shutil.copy(programs.place(name), target / name)
        # Raising limits and lowering OOM scores needs CAP_SYS_RESOURCE, which not every machine gives.
        _edit(node / "files/etc/systemd/system/containerd.service", r"(?m)^(Limit|OOMScoreAdjust).*\n", "")
        _edit(
            node / "files/etc/containerd/config.toml",
            r"restrict_oom_score_adj = false",
            "restrict_oom_score_adj = true",
        )
        # containerd asks every container's shim once a second how much CPU it has used. The kubelet has that from
        # cAdvisor.
        with (node / "files/etc/containerd/config.toml").open("a") as config:
            config.write('\n[plugins."io.containerd.cri.v1.runtime"]\n  stats_collect_period = "1m"\n')
        (node / "files/etc/default").mkdir(parents=True, exist_ok=True)
        (node / "files/etc/default/kubelet").write_text(
            "KUBELET_EXTRA_ARGS=--runtime-cgroups=/system.slice/containerd.service --fail-cgroupv1=false "
            "--feature-gates=KubeletInUserNamespace=true\n"
        )
        shutil.copy(RECIPE / "default-cni.yaml", node / "manifests")
        (node / "manifests/default-storage.yaml").write_text(self._storage_manifest())
        (node / "version").write_text(versions()["modules"]["kubernetes"])
        shutil.copy(RECIPE / "Dockerfile", node / "Dockerfile")
        docker_build(self.engine, node, "kubeclass/node-base:local")

    def _preload(self) -> None:
        """Put the images into the node's containerd, as `kind build node-image` does. The result is the node image."""
        options = ("--privileged", "--security-opt", "seccomp=unconfined", "--tmpfs", "/run", "--entrypoint", "sleep")
        container = run(self.engine, "run", "-d", *options, "kubeclass/node-base:local", "infinity").strip()
        try:
            run(self.engine, "exec", "-d", container, "sh", "-c", "exec containerd >/dev/null 2>&1")
            if not wait_until(lambda: succeeds(self.engine, "exec", container, "ctr", "version"), 30, pause=0.5):
                raise problem("node-image-no-containerd")
            archive = self.work / "images.tar"
            run(self.engine, "save", "-o", str(archive), *self.images, timeout=300)
            with archive.open("rb") as stream:
                take = ("ctr", "-n", "k8s.io", "images", "import", "--all-platforms", "--no-unpack", "--digests")
                done = finish(self.engine, "exec", "-i", container, *take, "--local", "-", stdin=stream, timeout=1800)
            if done.returncode:
                raise problem("node-image-not-filled", why=done.err[-500:])
            run(
                self.engine,
                "exec",
                container,
                "sh",
                "-c",
                "pkill -x containerd; while pgrep -x containerd >/dev/null; do sleep 0.1; done",
            )
            entry = 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]'
            run(self.engine, "commit", "--change", entry, container, tag(), timeout=300)
        finally:
            run(self.engine, "rm", "-f", "-v", container)


def make_root(
    engine: str, name: str, suite: str, variant: str, packages: str, work: Path, changes: tuple[str, ...] = ()
) -> None:
    """Make an image from packages of a Debian suite, with the mirror that this machine's apt already uses."""
    if not shutil.which("mmdebstrap"):
        install_packages("mmdebstrap")
    archive = work / f"{suite}-{hashlib.sha256(packages.encode()).hexdigest()[:8]}.tar"
    run(
        "mmdebstrap",
        "--quiet",
        f"--variant={variant}",
        f"--include={packages}",
        suite,
        str(archive),
        debian_mirror(),
        timeout=900,
    )
    options = [word for change in changes for word in ("--change", change)]
    run(engine, "import", *options, str(archive), name, timeout=300)
    archive.unlink()


def debian_mirror() -> str:
    """The address of the Debian archive for which this machine's apt is configured.

    Raises Problem where there is none.
    """
    listed = run(
        "apt-get", "indextargets", "--format", "$(CODENAME) $(ORIGIN) $(REPO_URI)", "Created-By: Packages"
    ).splitlines()
    for line in listed:
        codename, origin, uri = [*line.split(" "), "", ""][:3]
        if origin == "Debian" and "-" not in codename:
            return uri
    raise problem("no-debian-archive")


def docker_build(engine: str, folder: Path, name: str, *arguments: str) -> None:
    """Build an image by its Dockerfile. Works on engines without buildx too."""
    import os

    env = {**os.environ, "DOCKER_BUILDKIT": "1" if succeeds(engine, "buildx", "version") else "0"}
    run(engine, "build", "-q", "-t", name, *arguments, str(folder), timeout=600, env=env)


def _edit(path: Path, pattern: str, replacement: str) -> None:
    text, number = re.subn(pattern, replacement, path.read_text())
    if not number:
        raise problem("kind-file-changed", file=path.name, pattern=pattern)
    path.write_text(text)


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if not found:
        raise problem("kind-source-changed", pattern=pattern)
    return found.group(1)
