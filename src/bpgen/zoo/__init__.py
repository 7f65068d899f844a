"""Model files that ship with bpgen, each a `model.py` as a user would write it.

`bpgen derive digits_mlp` finds them by name; each names the data set it is for.
"""
