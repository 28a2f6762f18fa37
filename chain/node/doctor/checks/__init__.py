"""One file per check: `check(patient)` looks at one thing, changes nothing, and says what it found."""
