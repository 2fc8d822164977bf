"""The course's kind cluster: up, down, images, health."""

from cluster.context import Cluster, current
from cluster.problem import Problem

__all__ = ["Cluster", "Problem", "current"]
