"""The words of our own files' language: somebody may be called like one, and is not found in each of them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from daemon import events, journal_tables, vocabulary
from gallery.migrations import MIGRATIONS

ENVELOPE = "specversion id source type subject time data name seq true false null not_checked head vsg"


def words(cameras: Iterable[str]) -> frozenset[str]:
    """In lower case: what stands in databases and events whoever is enrolled."""
    texts = [ENVELOPE, events.SOURCE, *events.TOPICS, *cameras, *journal_tables.TABLES]
    texts += [statement for statements in MIGRATIONS for statement in statements]
    kinds = [each for each in vars(vocabulary).values() if dataclasses.is_dataclass(each)]
    texts += [field.name for kind in kinds for field in dataclasses.fields(kind)]
    return frozenset(word.lower() for text in texts for word in (text, *re.findall(r"[A-Za-z]+|\w+", text)))
