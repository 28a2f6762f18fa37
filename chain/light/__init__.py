"""The light client: what the chain says, checked with a few kilobytes and no trust in whoever answers.

Small on purpose: no numpy, no web framework; it runs inside the agent on the appliance.
"""
