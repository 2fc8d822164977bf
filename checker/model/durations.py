"""How long each component is given for its work before it counts as failed. All in seconds."""

from __future__ import annotations

# -- containers and Pods ---------------------------------------------------------------------------------------------

# A container that has only just started may still fail: how long it must have run before that counts as running.
TIME_TO_SETTLE = 3
TIME_TO_SETTLE_AFTER_RESTART = 10
# A process that does not listen yet may still be starting.
TIME_TO_LISTEN = 20
# A container that a probe has restarted, and that is not ready: how long the restart is taken for the reason.
TIME_TO_RECOVER = 60
# A container that has ended several times: how long it must have run before that counts as over.
TIME_TO_RECOVER_FROM_RESTARTS = 600
# The same, where it has ended only at the start of its Pod: what it needed may not have been there yet.
TIME_TO_RECOVER_FROM_START = 60
# The same, where it ends at long intervals. A run of a day is as good as one that never ends.
TIME_TO_FORGET_RESTARTS = 86_400
# A postStart hook, before it counts as one that does not end.
TIME_FOR_HOOK = 30
# The kubelet of a busy node, to send its events about a probe after the one about the first moment of a container.
TIME_FOR_LATE_EVENTS = 45
# The delay of a probe from which on it is told: a container that needs so long to start has a startup probe.
LONG_DELAY = 600
# A node that was away and is ready again: how long its Pods may find things missing.
TIME_FOR_NODE_TO_COME_BACK = 120
# A container of the Docker lab, to listen after its start.
TIME_FOR_ENGINE_CONTAINER_TO_LISTEN = 5
# An init container, before it is said to hold up the others: in a lab's check, and where `explain` is asked.
TIME_FOR_INIT_CONTAINER, TIME_FOR_INIT_CONTAINER_IN_EXPLAIN = 15, 60
# A node, to start a container. A busy one fails now and then, and tries again.
TIME_FOR_CONTAINER_START = 20
# The kubelet, to set up a Pod's volumes and network, before its events count as a failure.
TIME_FOR_POD_START = 20
# A program that has logged nothing yet.
TIME_FOR_FIRST_LOG_LINE = 45
# A Pod that was not ready in this time, and whose container is older than that, is ready and not ready in turn.
TIME_OF_FLAPPING = 120
# The last container of a Job's Pod, to end after the others.
TIME_FOR_LAST_CONTAINER = 60
# The kubelet, to serve the last log lines of a container that has ended.
TIME_FOR_LAST_LOG_LINES = 10
# A terminating Pod, to end: the usual grace period of 30 seconds, and as much again.
TIME_FOR_TERMINATION = 60
# A busy kubelet, to send its events.
TIME_FOR_KUBELET_EVENTS = 300
# The kubelet, to repeat a mount that fails: it does so at least every two minutes.
TIME_FOR_MOUNT_RETRY = 150

# -- controllers -----------------------------------------------------------------------------------------------------

# A controller, or a scheduler, that a Pod waits for: a scheduling gate, a scheduler's first look, a readiness gate.
TIME_FOR_POD_CONTROLLER = 5
# A controller, to remove its finalizer from an object that was deleted.
TIME_FOR_FINALIZER = 10
# A load balancer's controller, to give a Service an address.
TIME_FOR_LOAD_BALANCER = 15
# A provisioner, to make a volume, and the kubelet, to mount it.
TIME_FOR_VOLUME = 30
# A provisioner that has said that it begins to make a volume.
TIME_FOR_PROVISIONER = 150
# The CronJob controller, to start a run that is due, and to record that a run has ended.
TIME_FOR_CRONJOB_CONTROLLER = 15
# A controller, to create a Pod in place of a terminating Pod.
TIME_FOR_REPLACEMENT_POD = 5
# A Deployment, to go from the Pods of one image to the Pods of another.
TIME_FOR_IMAGE_TAKEOVER = 60
# The Deployment controller, to scale the ReplicaSets after one change of the template.
TIME_FOR_ONE_STEP = 0.5

# -- requests --------------------------------------------------------------------------------------------------------

# kube-proxy on every node, to learn of a new Service and its endpoints; and of a changed Pod behind it.
TIME_FOR_KUBE_PROXY, TIME_FOR_KUBE_PROXY_AFTER_POD_CHANGE = 10, 5
# kube-proxy on every node, to stop sending requests to a Pod that was deleted.
TIME_FOR_ENDPOINT_REMOVAL = 3
# The observer, to begin its stream of requests after a lab's start.
TIME_FOR_OBSERVER_TO_BEGIN = 60
