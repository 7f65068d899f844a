"""`python -m bpgen` is `bpgen`."""

from bpgen.cli import main

main(prog_name="bpgen")
