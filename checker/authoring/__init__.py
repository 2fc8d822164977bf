"""For people who write labs.

`kubeclass lab new` makes a lab's folder; `kubeclass lab check` says what is missing or wrong in a lab's folder.
"""
