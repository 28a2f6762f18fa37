"""The face of an appliance: what tty1, the serial line and the page in its local network show of it."""
