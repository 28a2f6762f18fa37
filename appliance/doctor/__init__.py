"""What ails this machine, and what may be done about it: one file per check, one per repair, one ladder of steps."""
