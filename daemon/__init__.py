"""Cameras to events, and the command line."""
