"""Pieces of the programs that labs run inside learners' containers, each written once.

Nothing here runs in the checker. A program of a lab (labs/NN-name/programs/) names what it needs in one line, such as
`from checker.collect.programs.guestbook import app_variables`. `checker.grading.labs.program` puts the text of the
piece in the place of that line, because a container has only Python's standard library. So a piece imports nothing
else, and it writes nothing.
"""
