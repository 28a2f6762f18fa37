"""Who may ask the gateway what, and how often: certificates, registration on the chain, lists, rates and bans.

What is decided stands in `decision`, a pure function of what is known of a peer; the rest finds that out and counts.
"""
