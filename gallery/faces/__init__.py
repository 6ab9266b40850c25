"""Pixels to faces to encodings. Knows no person."""
