"""`python -m tests.terraform`: what `make check` says of terraform/.

check      form, a whole cycle of each environment, the claims of its own tests, policies
mistakes   makes each mistake of `mistakes.py` in a copy, and tells whether `check` notices
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from local.bootstrap import ROOT
from tests.terraform import claims, tools
from tests.terraform.tools import ENVIRONMENTS, NotHere, Outcome, run

_BOOTSTRAP = (
    "-var=project_id=healthhub-check",
    "-var=environment=prod",
    "-var=region=us-central1",
    "-var=repository_id=1",
    "-var=billing_account=000000-AAAAAA-BBBBBB",
)

Step = tuple[str, Callable[[], Outcome]]


def steps(root: Path) -> Iterator[Step]:
    """What is checked of the tree at `root`; each can run beside the others. Raises `NotHere`."""
    terraform = tools.terraform()
    source = root / "terraform"
    yield "agreement", lambda: _agreement(root)
    yield "fmt", lambda: run([terraform, "fmt", "-check", "-recursive", "-diff", "."], source)
    if (stand_in := tools.stand_in()) is not None:
        yield from _simulated(stand_in, root)
    else:
        yield "validate", lambda: _validated(terraform, source)
    checkov = tools.checkov()
    yield "policies", lambda: _policies(checkov, root)


def _simulated(stand_in: Path, root: Path) -> Iterator[Step]:
    """Against a provider that makes nothing: what is made is planned, applied and destroyed in memory."""
    for environment in ENVIRONMENTS:
        values = _values(environment)
        yield f"cycle {environment}", partial(_offline, stand_in, "cycle", root, "", values)
        wanted = claims.OF_AN_ENVIRONMENT
        yield f"claims {environment}", partial(_claims, stand_in, root, "", wanted, values)
    part, wanted = "bootstrap", claims.OF_ANY_PLAN
    yield "cycle bootstrap", partial(_offline, stand_in, "cycle", root, part, *_BOOTSTRAP)
    yield "claims bootstrap", partial(_claims, stand_in, root, part, wanted, *_BOOTSTRAP)
    source = str(root / "terraform")
    yield "tests", partial(run, [str(stand_in), "test", "--root", str(root), source], root)


def _agreement(root: Path) -> Outcome:
    """Whether catalogue, metrics and settings are those of the code."""
    test = "tests/terraform/test_agreement.py"
    return run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test], root)


def _offline(stand_in: Path, verb: str, root: Path, part: str, *variables: str) -> Outcome:
    folder = str(root / "terraform" / part)
    return run([str(stand_in), verb, "--root", str(root), folder, "--", *variables], root)


def _values(environment: str) -> str:
    return f"-var-file=environments/{environment}.tfvars"


def _validated(terraform: str, source: Path) -> Outcome:
    """With the real provider, where its registry can be reached; raises `NotHere` elsewhere."""
    with tempfile.TemporaryDirectory() as data:
        begun = run(
            [terraform, "init", "-backend=false", "-input=false", "-no-color"],
            source,
            seconds=120,
            TF_DATA_DIR=data,
        )
        if not begun.is_well:
            raise NotHere(
                "the providers could not be downloaded, so whether terraform/ is valid was not checked"
            )
        return run([terraform, "validate", "-no-color"], source, TF_DATA_DIR=data)


def _claims(
    stand_in: Path, root: Path, part: str, wanted: tuple[claims.Claim, ...], *variables: str
) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        options = ["--root", str(root), "--json-out", str(path), str(root / "terraform" / part)]
        planned = run([str(stand_in), "plan", *options, "--", *variables], root)
        if not planned.is_well:
            return planned
        found = claims.broken(claims.Plan(path), wanted)
    return Outcome(not found, "\n".join(found))


def _policies(checkov: Path, root: Path) -> Outcome:
    """checkov's, and ours in terraform/policies, for what it does not know."""
    options = ["--framework", "terraform", "--compact", "--quiet", "--skip-download"]
    ours = ["--external-checks-dir", str(root / "terraform" / "policies")]
    command = [str(checkov), "--directory", str(root / "terraform"), *options, *ours]
    return run(command, root, seconds=300, LOG_LEVEL="CRITICAL")


def check(root: Path = ROOT, only: str = "", *, is_quiet: bool = False) -> bool:
    """Whether all is well; what is not is printed, and what could not be looked at too."""
    is_well = True
    with ThreadPoolExecutor(2) as pool:
        begun = []
        try:
            for name, step in steps(root):
                if only in name:
                    begun.append((name, pool.submit(_timed, step)))
        except NotHere as missing:
            print(f"Terraform: {missing}")
        for name, future in begun:
            try:
                outcome, seconds = future.result()
            except NotHere as missing:
                print(f"Terraform: {missing}")
                continue
            if is_quiet:
                is_well &= outcome.is_well
                continue
            print(f"Terraform: {name} {'ok' if outcome.is_well else 'FAILED'} ({seconds:.0f} s)")
            if not outcome.is_well:
                is_well = False
                print(outcome.last_lines())
    return is_well


def _timed(step: Callable[[], Outcome]) -> tuple[Outcome, float]:
    started = time.monotonic()
    return step(), time.monotonic() - started


def main(arguments: list[str]) -> int:
    match arguments:
        case ["check", *only]:
            return 0 if check(only=only[0] if only else "") else 1
        case ["mistakes", *numbers]:
            from tests.terraform import mistakes

            return mistakes.main(numbers)
        case _:
            print(__doc__)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
