"""Grading: labs, what their tasks ask for, and verdicts.

Nothing here does I/O, except labs.py, which reads a lab's folder.
"""
