"""The proof: what was brought about on the real cluster, from what, and with what outcome. `make prove` takes it, `make test` holds
everybody to it."""
