"""PoG v1: an exact matrix product as proof of compute, checked by Freivalds' method.

`profiles`, `challenge`, `opening`, `format` and `rate` are light (no numpy): a process that only signs or carries
proofs imports those. `streams`, `cpu`, `prove`, `verify`, `calibrate` and `bench` compute.
"""

import os

# numpy's BLAS reads this when it is loaded. Its own threads wait for each other in busy loops: on a machine that also
# runs other things two of them were measured 40 times slower than one. The CPU backend uses threads of its own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
