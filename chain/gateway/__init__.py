"""The chain's REST face, in a process of its own: each answer is proven by a light client, or says that it is not.

Stands on the light client like wallets and history, so it may run beside any node, or on another machine than the node.
"""
