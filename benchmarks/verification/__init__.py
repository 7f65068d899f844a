"""The evidence for the checker, measured anew: what it refutes, what it lets pass, and how fast.

    python -m benchmarks.verification -o benchmarks/results/verification.md
    python -m benchmarks.verification --part files --quick

In: the networks of `models/`, the zoo, and mistakes made one at a time: in derived equations by the
operators of `tests.verify.mutants`, in emitted files by those of `tests.certify.edits`. Out: one
section of tables for each part. True at the door: nothing is judged by code of this package; what
bpgen says comes from `verify.proof` and `certify`, what other tools say from their own functions,
with their defaults. Every run draws its points anew, from a seed that it states.
"""
