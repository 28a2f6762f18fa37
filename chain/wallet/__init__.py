"""Wallets and a client of the chain: keys at rest, addresses by name, transactions from the first byte to the proof.

Beside the light client in the layers: everything that is shown is proven, everything that is signed stays here.
"""
