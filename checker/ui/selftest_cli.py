"""`kubeclass selftest`: does the course work on a machine that is unlike those on which it was tried?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from checker.ui import command

LABS = ("01", "07", "14")  # the container engine; a Deployment and a Service; NetworkPolicies


@click.command(cls=command.Command, help="help-selftest")
@command.option(
    "--out",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default="kubeclass-selftest.json",
    help="help-selftest-out",
)
def selftest(file: Path) -> None:
    """Try the course on a cluster that is made for it and deleted afterwards. Exit status: 0 all works, 1 not."""
    from checker.authoring import ci
    from checker.grading.labs import load_lab
    from checker.marking.fault_report import gathered
    from checker.model.catalogue import say
    from cluster import Problem, engine
    from cluster.nodes import nodes_of
    from cluster.progress import tell
    from cluster.up import down, stop_as_by_ctrl_c, up

    stop_as_by_ctrl_c()
    ci.require_writable(file)
    cluster = ci.own_cluster("kubeclass-selftest")
    was_there = bool(nodes_of(engine.ensure(), cluster))
    outcomes = []
    try:
        try:
            up(cluster)
        except Problem as why:
            outcomes.append(ci.Outcome(say("selftest-machine"), say("selftest-up"), 0.0, str(why)))
        for number in LABS if not outcomes else ():
            for one in ci.prove_cases(load_lab(number), ("setup", "solution")):
                outcomes.append(one)
                seconds = round(one.seconds)
                tell(say("ci-failed" if one.why else "ci-passed", subject=one.subject, name=one.name, seconds=seconds))
        report = {**gathered(), "selftest": [asdict(one) for one in outcomes]}
    finally:
        if not was_there:
            down(cluster)
    file.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    failed = [one for one in outcomes if one.why]
    for one in failed:
        tell(one.why)
    click.echo(
        say("selftest-not-well", failed=len(failed), outcomes=len(outcomes), file=file)
        if failed
        else say("selftest-well")
    )
    sys.exit(1 if failed else 0)
