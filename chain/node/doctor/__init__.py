"""`dccn node doctor`: what ails a node, one file per check; and where two nodes' states part."""
