"""How long each component is given for its work before it is said to have failed. All in seconds."""

from __future__ import annotations

# -- containers and Pods ---------------------------------------------------------------------------------------------

# A container that has only just started may still fail: how long it must have run before that counts as running.
TIME_TO_SETTLE = 3
TIME_TO_SETTLE_AFTER_RESTART = 10
# A process that does not listen yet may still be starting.
TIME_TO_LISTEN = 20
# A container that a probe has restarted, and that is not ready: how long the restart is taken for the reason.
TIME_TO_RECOVER = 60
# An init container, before it is said to hold up the others: in a lab's check, and where `explain` is asked.
TIME_FOR_INIT_CONTAINER, TIME_FOR_INIT_CONTAINER_IN_EXPLAIN = 15, 60
# A node, to start a container. A busy one fails now and then, and tries again.
TIME_FOR_CONTAINER_START = 20
# The kubelet, to set up a Pod's volumes and network, before its events count as a failure.
TIME_FOR_POD_START = 20
# A program that has logged nothing yet.
TIME_FOR_FIRST_LOG_LINE = 45

# -- controllers -----------------------------------------------------------------------------------------------------

# A controller, or a scheduler, that a Pod waits for: a scheduling gate, a scheduler's first look, a readiness gate.
TIME_FOR_POD_CONTROLLER = 5
# A controller, to remove its finalizer from an object that was deleted.
TIME_FOR_FINALIZER = 10
# A load balancer's controller, to give a Service an address.
TIME_FOR_LOAD_BALANCER = 15
# A provisioner, to make a volume, and the kubelet, to mount it.
TIME_FOR_VOLUME = 30
