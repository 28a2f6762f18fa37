"""The HTTPS API for devices and the loopback API for the page and the admin."""
