"""`dccn demo`: a whole network on this machine, with this machine as its miner."""
