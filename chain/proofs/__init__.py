"""What a device proves and how anybody checks it: records, receipts, batches, and the compute challenge in `pog`.

Importing this package imports no numpy; only the modules of `chain.proofs.pog` that multiply do.
"""
