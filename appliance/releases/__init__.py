"""Releases: what machines may install, signed with several keys, in a folder that anybody can serve."""
