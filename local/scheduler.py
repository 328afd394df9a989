"""What Cloud Scheduler is to the clock functions, on this machine.

python -m local.scheduler     fires each at its time (unix-cron, UTC), for `make dev`
"""

import os
import time
from datetime import UTC, datetime

from cronsim import CronSim

from local import catalog
from local.topics import fire


def run(pubsub: str, project: str) -> None:
    """Fire every clock function when its schedule says so, for ever."""
    begun = datetime.now(UTC)
    due = {f.name: CronSim(f.schedule, begun) for f in catalog.read() if f.schedule}
    upcoming = {name: next(times) for name, times in due.items()}
    while upcoming:
        name, moment = min(upcoming.items(), key=lambda pair: pair[1])
        while (left := (moment - datetime.now(UTC)).total_seconds()) > 0:
            time.sleep(min(left, 30))
        fire(pubsub, project, name)
        upcoming[name] = next(due[name])


if __name__ == "__main__":
    run(os.environ["PUBSUB_EMULATOR_HOST"], os.environ["GOOGLE_CLOUD_PROJECT"])
