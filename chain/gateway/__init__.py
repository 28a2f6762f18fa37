"""The chain for programs: REST, JSON-RPC and who may use them. Holds no key and believes no node."""
