"""The web page: templates, style and the little script that keeps it live."""
