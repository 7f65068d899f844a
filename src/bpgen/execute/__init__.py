"""Run what was emitted: load the file, read the data, train, draw the curve.

In: the path of an emitted module, and a data set. Out: a folder with checkpoints, a log and a
curve. True at the door: data that enter training have the shapes, the lengths and the label ranges
of the declaration and are finite; a loss that is logged is finite.

Everything here goes through the public names of an emitted module (`execute.load.Emitted`). What it
computes, training does not know.
"""
