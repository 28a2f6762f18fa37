"""One file per repair: `REPAIR` says what it does and how often it may, `repair(subject, hands)` does it."""
