"""Collecting: everything that asks the API server, the observer or a container, and ends in a State."""
