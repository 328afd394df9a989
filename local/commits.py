"""`python -m local.commits origin/main..HEAD`: are these commits' messages as CONTRIBUTING.md says?"""

import re
import subprocess
import sys

TYPES = ("feat", "fix", "perf", "refactor", "test", "bench", "docs", "build", "ci", "chore")

_HEADER = re.compile(rf"({'|'.join(TYPES)})(\([a-z0-9_-]+\))?!?: \S.*[^.\s]")
_REVERT = re.compile(r'Revert ".+"')
"""What `git revert` writes: nobody should have to word that in a hurry."""


def wrong_with(message: str) -> str | None:
    """What a message lacks, or None."""
    header, *rest = message.rstrip("\n").split("\n")
    if not _HEADER.fullmatch(header) and not _REVERT.fullmatch(header):
        return f"does not read `type: what changes`, with a type of {', '.join(TYPES)} and no full stop"
    if rest and rest[0]:
        return "lacks the empty line after the first"
    return None


def wrong_in(commits: str) -> tuple[int, list[str]]:
    """How many commits a range holds, and a line for each whose message is wrong; merges say what git says."""
    form = "--format=%h%n%B%x00"
    done = subprocess.run(
        ["git", "log", "--no-merges", form, "--end-of-options", commits],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ValueError(done.stderr.strip())
    found = []
    logged = [entry.lstrip("\n") for entry in done.stdout.split("\0")][:-1]
    for commit, message in (entry.split("\n", 1) for entry in logged):
        if reason := wrong_with(message):
            found.append(f"{commit} {message.splitlines()[0] if message else ''}: {reason}")
    return len(logged), found


def main(commits: str) -> int:
    try:
        number, found = wrong_in(commits)
    except ValueError as problem:
        print(problem)
        return 2
    print(*found, f"{number} commits, {len(found)} wrong", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
