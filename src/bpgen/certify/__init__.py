"""Certificates: a verdict as a file, and emitted files checked against one, or against a model.

In: a verdict with the seeds of its points, and the text of an emitted module. Out: a JSON document,
or a verdict on the module. True at the door: a module is audited before it is run; one that differs
from what the certificate names is REFUTED, whatever it computes.
"""

from bpgen.certify.certificate import certificate, digest_of
from bpgen.certify.edited import examined
from bpgen.certify.recheck import rechecked

__all__ = ["certificate", "digest_of", "examined", "rechecked"]
