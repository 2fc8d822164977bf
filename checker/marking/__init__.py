"""Marking: receipts of hand-ins, which can be judged again without a cluster, and the report of a whole class.

docs/class-marks.md describes the files for the people who use them.
"""
