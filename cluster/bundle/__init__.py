"""`kubeclass bundle`: one file that carries the course to machines without a network.

archive.py   the file: a plain tar with a manifest, read and written
contents.py  what a bundle holds, and what of it a machine has already
wheels.py    the course as a wheel, and the wheels that it needs
save.py      `bundle save`
use.py       `bundle use`
"""
