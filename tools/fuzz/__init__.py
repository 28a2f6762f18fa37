"""Coverage-guided fuzzing (atheris, libFuzzer) of everything that reads bytes from strangers: `make fuzz`."""
