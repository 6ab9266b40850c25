"""Takes over what other programs keep of people's faces."""
