"""What the hub makes of a TPM's word: structures, challenge, event log, known images, and the judgement."""
