"""The statements that made a gallery's tables what they are, version by version."""

from __future__ import annotations

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE gallery (
            one      INTEGER PRIMARY KEY CHECK (one = 1),
            revision INTEGER NOT NULL,  -- rises by one with every change
            model    TEXT               -- what made the encodings that are compared; NULL: none yet
        ) STRICT""",
        "INSERT INTO gallery (one, revision, model) VALUES (1, 0, NULL)",
        """CREATE TABLE person (
            id               TEXT PRIMARY KEY,
            name             TEXT NOT NULL UNIQUE,
            enrolled_unix_ns INTEGER NOT NULL
        ) STRICT""",
        """CREATE TABLE reference (
            id               TEXT PRIMARY KEY,
            person_id        TEXT NOT NULL REFERENCES person (id) ON DELETE CASCADE,
            source_digest    TEXT NOT NULL,  -- SHA-256 of the image's bytes
            source_name      TEXT NOT NULL,
            quality          REAL NOT NULL,
            enrolled_unix_ns INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX reference_of_person ON reference (person_id)",
        "CREATE UNIQUE INDEX reference_of_image ON reference (source_digest)",
        # A table of its own, so that a change of encoder can fill a second model beside the first.
        """CREATE TABLE encoding (
            reference_id TEXT NOT NULL REFERENCES reference (id) ON DELETE CASCADE,
            model        TEXT NOT NULL,
            vector       BLOB NOT NULL,     -- float32[d], little-endian
            checksum     INTEGER NOT NULL,  -- CRC-32 of vector: SQLite checks its pages, not our numbers
            PRIMARY KEY (reference_id, model)
        ) STRICT""",
    ),
    (
        # 1: a face that the person was told not to be.
        "ALTER TABLE reference ADD COLUMN is_not INTEGER NOT NULL DEFAULT 0 CHECK (is_not IN (0, 1))",
        # An image shows one person; whom it does not show may be several.
        "DROP INDEX reference_of_image",
        "CREATE UNIQUE INDEX reference_of_image ON reference (source_digest) WHERE is_not = 0",
        "CREATE UNIQUE INDEX image_of_person ON reference (person_id, source_digest)",
        """CREATE TABLE threshold (
            person_id          TEXT PRIMARY KEY REFERENCES person (id) ON DELETE CASCADE,
            distance           REAL NOT NULL CHECK (distance > 0),
            model              TEXT NOT NULL,    -- of the encodings that it was calibrated for
            fmr                REAL NOT NULL,    -- the probability that was asked for
            people             INTEGER NOT NULL, -- how many were enrolled then
            calibrated_unix_ns INTEGER NOT NULL,
            checksum           INTEGER NOT NULL  -- CRC-32 of distance, person and model
        ) STRICT""",
    ),
    (
        # On what ground somebody's face is kept, and until when; NULL: nobody said.
        "ALTER TABLE person ADD COLUMN consent_basis TEXT",
        "ALTER TABLE person ADD COLUMN consent_reference TEXT",  # where it is written down
        "ALTER TABLE person ADD COLUMN consent_date TEXT",  # ISO 8601, the day it was given
        "ALTER TABLE person ADD COLUMN expires_unix_ns INTEGER",
        "ALTER TABLE person ADD COLUMN note TEXT",
        # Why a reference is not matched with for the time being, the code of a finding; NULL: it is.
        "ALTER TABLE reference ADD COLUMN set_aside TEXT",
        # Faces as they were cut out, for who keeps them: to encode them anew with another model.
        """CREATE TABLE crop (
            reference_id TEXT PRIMARY KEY REFERENCES reference (id) ON DELETE CASCADE,
            image        BLOB NOT NULL,     -- a PNG or JPEG of the face and what is around it
            checksum     INTEGER NOT NULL   -- CRC-32 of image
        ) STRICT""",
        # Who did what, and when. Ids alone: it outlives whom it is about.
        """CREATE TABLE trail (
            number    INTEGER PRIMARY KEY AUTOINCREMENT,
            unix_ns   INTEGER NOT NULL
                      DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000000),
            who       TEXT NOT NULL,   -- the user's name on the machine; '': not known
            what      TEXT NOT NULL,   -- a code
            person_id TEXT,
            detail    TEXT NOT NULL    -- a JSON object of numbers, codes and ids
        ) STRICT""",
        """CREATE TRIGGER trail_is_not_changed BEFORE UPDATE ON trail
           BEGIN SELECT RAISE(ABORT, 'the trail is only added to'); END""",
        """CREATE TRIGGER trail_is_not_shortened BEFORE DELETE ON trail
           BEGIN SELECT RAISE(ABORT, 'the trail is only added to'); END""",
    ),
    (
        # Who is being forgotten: what has to be looked for elsewhere, until that is done.
        """CREATE TABLE forgetting (
            person_id         TEXT PRIMARY KEY,
            why               TEXT NOT NULL,     -- a code
            who               TEXT NOT NULL,     -- as trail.who
            began_unix_ns     INTEGER NOT NULL,
            references_gone   INTEGER NOT NULL,
            crops_gone        INTEGER NOT NULL,
            events_blanked    INTEGER NOT NULL DEFAULT 0,
            ids               TEXT NOT NULL,     -- a JSON list: theirs, and those that were merged into it
            names             TEXT,              -- a JSON list; NULL: nothing is looked for any more
            encodings         BLOB,              -- float32 after float32, little-endian; NULL: likewise
            pictures          BLOB               -- 16 bytes here and there of each crop; NULL: likewise
        ) STRICT""",
    ),
    (
        # When the names are dropped: how many files are searched, and in how many others something was found.
        "ALTER TABLE forgetting ADD COLUMN files_searched INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE forgetting ADD COLUMN files_left INTEGER NOT NULL DEFAULT 0",
        # NULL: not done yet. Else it is, whether verified or not, and stays until subscribers were told.
        "ALTER TABLE forgetting ADD COLUMN verified INTEGER",
    ),
)
"""The statements that lead from version i to i + 1; `user_version` counts those that a file has had."""
