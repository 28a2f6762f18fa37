"""CometBFT v0.38 as the engine: the application behind ABCI 2.0's socket, and the supervised binary in front of it."""
