"""A plain explorer: the index as pages without scripts, and as JSON under the same addresses with `.json`."""
