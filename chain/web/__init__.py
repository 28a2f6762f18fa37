"""What our HTTP servers share: errors as problem documents, headers, and a server without signals of its own."""
