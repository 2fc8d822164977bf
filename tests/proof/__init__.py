"""The proof: what was produced on the real cluster, from what, and with what outcome.

`make prove` writes it, and `make test` fails where something is without it.
"""
