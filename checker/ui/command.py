"""Commands of the command line whose help texts are sentences of the catalogue.

`help` of a command, an option or an argument is an id of ui.yaml. The catalogue is read when a help text is shown, and
not when a command runs. What click writes itself (`Usage:`, `Options:`, its errors about options) stays in English.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

WRONG_USE = 3  # exit status where the command line is wrong
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class _Help:
    """Gives a click object a `help` that is said in the chosen language."""

    _id: str | None = None

    @property
    def help(self) -> str | None:
        if not self._id:
            return None
        from checker.model.catalogue import say

        return say(self._id)

    @help.setter
    def help(self, id: str | None) -> None:
        self._id = id


class Option(_Help, click.Option):
    """An option; help: an id of ui.yaml."""


class Argument(_Help, click.Argument):
    """An argument; help: an id of ui.yaml."""


class Command(_Help, click.Command):
    """A command; help: an id of ui.yaml."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from checker.model.catalogue import say

        if own := self.get_help_option(ctx):
            own.help = say("help-help")
        super().format_help(ctx, formatter)


@contextmanager
def _own_status() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        setattr(error, "exit_code", WRONG_USE)  # noqa: B010  (a class variable of click's)
        raise


class Group(Command, click.Group):
    """The group of all commands, listed in the order of their definition; help: an id of ui.yaml.

    A wrong command line ends with exit status 3, as every command that could not run. (click's own status, 2, is that
    of a check that could not see everything.)
    """

    command_class = Command

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _own_status():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _own_status():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


def option(*names: str, help: str, **settings: Any) -> Callable[[Decorated], Decorated]:
    """As click.option. help: an id of ui.yaml."""
    return click.option(*names, cls=Option, help=help, **settings)


def argument(name: str, help: str, **settings: Any) -> Callable[[Decorated], Decorated]:
    """As click.argument. help: an id of ui.yaml."""
    return click.argument(name, cls=Argument, help=help, **settings)


wait_option = option(
    "--wait",
    type=click.FloatRange(0, 300),
    metavar="SECONDS",
    default=10.0,
    envvar="KUBECLASS_WAIT",
    show_default=True,
    show_envvar=True,
    help="help-wait",
)
