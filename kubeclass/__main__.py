"""`python -m kubeclass`: the same as the command `kubeclass`."""

from kubeclass import main

main()
