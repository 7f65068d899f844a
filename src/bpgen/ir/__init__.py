"""The floor both towers stand on: what a network, a derivation and a program are.

In: nothing. Out: frozen values, from `index` and `expr` by `equation` and `network` to `program`.
True at the door: equal values compare equal, no value knows how it is written down or computed, and
`Network.check` and `Program.check` say what every stage may rely on.
"""
