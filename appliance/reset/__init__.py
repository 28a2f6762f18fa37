"""The end of a machine's data: what the owner's mark on DCCNCFG makes the next boot do, before anything is opened."""
