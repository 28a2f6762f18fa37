"""The ledger that every side trusts; imports nothing of ours outside `chain`."""
