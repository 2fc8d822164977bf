"""Healthy namespaces, broken at random in one place: how often `kubeclass explain` tells the root first.

shapes/ holds five healthy namespaces. The modules beside it hold the breakages; each names the root that it makes.
run.py breaks and asks (`make prove EXPLAIN=random N=60`); docs/proof.md keeps the outcomes.
"""
