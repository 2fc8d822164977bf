"""A server that works, and answers with an error of its own: what it needs itself, by its own settings.

Source: https://www.rfc-editor.org/rfc/rfc9110#name-server-error-5xx
"""

from __future__ import annotations

from checker.diagnosis.dns import follow_dependency
from checker.diagnosis.service import pods_behind
from checker.model.state import Object, State

_AS_A_PROBE_SAYS = "statuscode: 503"  # what `follow_dependency` takes for a program's own error


def explain_server_error(state: State, client: Object, service: Object) -> None:
    """Raise Failed with what the Pods behind a Service need and do not reach.

    Called where a client got the status of a server error from that Service. Every variable of the Pods whose purpose
    is to name a host counts.
    """
    for server in pods_behind(state, service):
        if server.is_terminating or server.uid == client.uid:
            continue
        for spec in server.lasting_containers:
            follow_dependency(state, server, spec, _AS_A_PROBE_SAYS)
