"""`kubeclass bundle`: the course in one file, for machines without a network."""

from __future__ import annotations

from pathlib import Path

import click

from checker.ui import command

file_argument = command.argument("file", metavar="FILE", help="help-bundle-file")


@click.group(cls=command.Group, help="help-bundle")
def bundle() -> None:
    """The course in one file."""


@bundle.command(help="help-bundle-save")
@file_argument
@command.option("--arch", type=click.Choice(["amd64", "arm64"]), default=None, help="help-bundle-arch")
@command.option(
    "--platform",
    "platforms",
    type=click.Choice(["linux-amd64", "linux-arm64", "macos-amd64", "macos-arm64"]),
    multiple=True,
    help="help-bundle-platform",
)
def save(file: str, arch: str | None, platforms: tuple[str, ...]) -> None:
    """Write a bundle. Exit status: 0 done, 3 could not."""
    from checker.model.catalogue import say
    from cluster.bundle.save import save as write
    from cluster.up import stop_as_by_ctrl_c

    stop_as_by_ctrl_c()
    target = Path(file).expanduser().absolute()
    manifest = write(target, arch or "", platforms)
    of_kind = {kind: [member for member in manifest.members if member.kind == kind] for kind in ("tool", "wheel")}
    click.echo(
        say(
            "bundle-saved",
            file=target,
            images=sum(len(member.images) for member in manifest.members),
            tools=len(of_kind["tool"]),
            wheels=len(of_kind["wheel"]),
            gib=f"{target.stat().st_size / 1024**3:.1f}",
        )
    )
    click.echo(say("bundle-saved-next", file=target.name))


@bundle.command(help="help-bundle-use")
@file_argument
def use(file: str) -> None:
    """Load a bundle. Exit status: 0 done, 3 could not."""
    from checker.model.catalogue import say
    from cluster.bundle.use import use as load
    from cluster.up import stop_as_by_ctrl_c

    stop_as_by_ctrl_c()
    used = load(Path(file).expanduser().absolute())
    brought = bool(used.images or used.tools)
    click.echo(say("bundle-used" if brought else "bundle-used-nothing", images=used.images, tools=used.tools))
    click.echo(say("bundle-used-next"))
