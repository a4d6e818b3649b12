"""How many wake-ups wait at the broker: nobody wakes whoever is woken already.

That bounds a queue by its length, as every clock sees it. By their age it would be bounded only where all machines have one time:
a worker whose clock is some minutes ahead would throw each wake-up away, and send nothing.
"""

from __future__ import annotations

from typing import Any, Final

from kombu.exceptions import ChannelError

#: More wait only where nobody listens; all of them say the same.
MOST_WAITING: Final = 100


def waiting(*, channel: Any, queue: str) -> int:
    """How many messages wait in a queue that may not be there yet. Raises what the broker raises."""
    try:
        return int(channel.queue_declare(queue=queue, passive=True).message_count)
    except ChannelError:
        return 0  # at Redis an empty queue is none


def queue_of(task: Any) -> str:
    """The queue of a task's wake-ups."""
    return str(task.app.amqp.router.route({}, task.name)["queue"].name)


def is_needed(task: Any, *, channel: Any) -> bool:
    """Whether one more wake-up would tell anybody something."""
    return waiting(channel=channel, queue=queue_of(task)) < MOST_WAITING
