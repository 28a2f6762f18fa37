"""The machine's TPM 2.0: its identity key, and its word on what was booted."""
