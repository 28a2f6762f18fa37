"""Brings the pinned engines (programs that we install and never imitate) into the cache of this user."""
