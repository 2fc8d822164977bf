#!/usr/bin/env python3
"""Stands in for runc on a machine that withholds some capabilities: asks runc for no more than the machine gives.

An engine asks for every capability when a container is privileged, as kind's nodes are. Podman also asks for higher
limits than this machine's own (setrlimit(2)). runc fails where it cannot have one of them. The names are in the order
of their bits, see capabilities(7).

An engine calls this program several times for each container. So it imports no more than it must, and runs without site
packages.
"""
# ruff: noqa: PTH118, PTH123

import os
import sys

NAMES = (  # noqa: SIM905
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()


def available() -> set[str]:
    with open("/proc/self/status") as status:
        bounding = next(int(line.split()[1], 16) for line in status if line.startswith("CapBnd"))
    return {f"CAP_{name}" for bit, name in enumerate(NAMES) if bounding >> bit & 1}


def bound(path: str, part: str = "") -> None:
    """Write the file again without the capabilities and the limits that this machine withholds.

    part: the key in the file under which the process is described; empty for the file itself.
    """
    import json
    import resource

    with open(path) as file:
        whole = json.load(file)
    process = whole[part] if part else whole
    have = available()
    process["capabilities"] = {
        kind: [name for name in names if name in have] for kind, names in (process.get("capabilities") or {}).items()
    }
    for limit in process.get("rlimits") or []:
        most = resource.getrlimit(getattr(resource, limit["type"]))[1]
        if most != resource.RLIM_INFINITY:
            limit["hard"], limit["soft"] = min(limit["hard"], most), min(limit["soft"], most)
    with open(path, "w") as file:
        json.dump(whole, file)


def main(arguments: list[str]) -> None:
    if "create" in arguments or "run" in arguments:
        bundle = arguments[arguments.index("--bundle") + 1] if "--bundle" in arguments else "."
        bound(os.path.join(bundle, "config.json"), "process")
    elif "exec" in arguments and "--process" in arguments:
        bound(arguments[arguments.index("--process") + 1])
    # The one that the engine itself would run; a PATH may lack the folder where Debian keeps it.
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin", "/usr/local/sbin"]
    runc = next(p for p in (os.path.join(folder, "runc") for folder in folders) if os.access(p, os.X_OK))
    os.execv(runc, ["runc", *arguments])


main(sys.argv[1:])
