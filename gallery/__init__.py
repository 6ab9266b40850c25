"""Pictures to identities. Knows no camera, clock, thread or socket."""
