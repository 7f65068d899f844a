"""Targets: how each kind of statement is written in one language.

In: `ir.Program`. Out: finished lines of text, each statement's under its formula. True at the door:
a line writes into memory that is there. A target is a package here; a function it cannot spell is a
`TargetError` that names the file to edit.
"""
