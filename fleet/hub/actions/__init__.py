"""Every change of the hub's state: one small function that writes, then emits one typed event."""
