"""Photographs before there is a gallery: whole trees of them cropped, and faces compared with one another."""
