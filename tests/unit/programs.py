"""The programs of labs that run inside learners' containers, as they are sent there."""

from __future__ import annotations

from types import ModuleType

from checker.grading.labs import Lab, program


def as_sent(lab: Lab, name: str) -> ModuleType:
    """programs/NAME.py of a lab as a module, made from the text that is sent, with the pieces that programs share."""
    module = ModuleType(name)
    exec(compile(program(str(lab.folder / "tasks.py"), name), name, "exec"), module.__dict__)
    return module
