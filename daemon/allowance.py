"""How much each peer may ask for: token buckets, of which only so many are remembered."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    tokens: float
    """Below 0: in debt."""
    filled_s: float
    """Monotonic."""


class Allowance:
    """Each peer's tokens come back at a rate; what an answer costs is known, and taken, afterwards."""

    def __init__(self, per_s: float, burst: float, peers: int) -> None:
        """peers: remembered at most; who was silent the longest is forgotten first."""
        self._per_s = per_s
        self._burst = burst
        self._peers = peers
        self._buckets: OrderedDict[bytes, _Bucket] = OrderedDict()

    def wait_s(self, peer: bytes, now_s: float) -> float:
        """How long the peer has to wait before it may ask; 0: it may."""
        bucket = self._bucket(peer, now_s)
        return 0.0 if bucket.tokens >= 1 else (1 - bucket.tokens) / self._per_s

    def take(self, peer: bytes, tokens: float, now_s: float) -> None:
        """What the peer has used."""
        self._bucket(peer, now_s).tokens -= tokens

    def _bucket(self, peer: bytes, now_s: float) -> _Bucket:
        bucket = self._buckets.setdefault(peer, _Bucket(self._burst, now_s))
        self._buckets.move_to_end(peer)
        if len(self._buckets) > self._peers:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self._burst, bucket.tokens + (now_s - bucket.filled_s) * self._per_s)
        bucket.filled_s = now_s
        return bucket
