"""The owner's settings on the partition DCCNCFG: read with distrust, and turned into what the system understands."""
