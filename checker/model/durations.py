"""How long each component is given for its work before it is said to have failed. All in seconds."""

from __future__ import annotations

# A controller, or a scheduler, to act on a Pod that waits for it: a scheduling gate, a scheduler's first look, a readiness gate.
FOR_A_POD_CONTROLLER = 5
