"""One file per group of commands; each imports what it needs only when it runs, so that `dccn --help` is quick."""
