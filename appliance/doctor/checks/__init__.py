"""One file per check: `check(machine)` looks at one thing, changes nothing, and says what it found."""
