"""The boots of this machine: recorded, judged, and what is said when an update did not hold."""
