"""JupyterHub for a class: the image of a learner's server, and how the hub starts it (docs/hub.md)."""
