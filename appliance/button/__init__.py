"""The power button: pressed once it switches the machine off, pressed five times within ten seconds it resets it."""
