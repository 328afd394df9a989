"""Import this first: no garbage collection while a function imports what it needs.

Importing makes hundreds of thousands of objects that live as long as the
process; looking through them again and again costs a sixth of a cold start.
`done` takes them out of collection for good, which also keeps their pages
shared with the process that is forked to serve.
"""

import gc

gc.disable()


def done() -> None:
    """Collect again, but not what was imported until now."""
    gc.freeze()
    gc.enable()
