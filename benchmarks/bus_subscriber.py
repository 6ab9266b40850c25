"""The subscriber that `python -m benchmarks.bus` tries out unless it is given another one."""

from __future__ import annotations

import json
import logging
import os

from daemon.client import subscribe


def main() -> None:
    """Prints a line an event, for ever."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s subscriber: %(message)s")
    with subscribe(
        os.environ["VISAGED_EVENTS"],
        replay=os.environ["VISAGED_REPLAY"],
        topics=json.loads(os.environ["VISAGED_TOPICS"]),
        cursor=os.environ["VISAGED_CURSOR"],
        keys=os.environ.get("VISAGED_KEYS"),
        since=0,
    ) as events:
        for event in events:
            print(
                json.dumps({"seq": event.seq, "id": event.id, "redelivered": event.redelivered}), flush=True
            )


if __name__ == "__main__":
    main()
