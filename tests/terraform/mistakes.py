"""Mistakes that somebody may make in terraform/, and who notices: each is made in a copy, which is then checked.

python -m tests.terraform mistakes [number …]
"""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from local.bootstrap import ROOT


@dataclass(frozen=True)
class Mistake:
    what: str
    noticed_by: str
    """The step of `check` that must fail."""
    file: str
    old: str
    """Replaced where it stands first; empty: `new` is added at the end."""
    new: str = ""


_STORAGE, _EVENTS, _IAM = "terraform/storage.tf", "terraform/events.tf", "terraform/iam.tf"
_FIRESTORE, _FUNCTION = "terraform/firestore.tf", "terraform/modules/function/main.tf"

MISTAKES = (
    Mistake(
        "a bucket that may be made public",
        "claims prod",
        _STORAGE,
        'public_access_prevention    = "enforced"',
        'public_access_prevention    = "inherited"',
    ),
    Mistake(
        "a bucket with access lists of single objects",
        "claims prod",
        _STORAGE,
        "uniform_bucket_level_access = true",
        "uniform_bucket_level_access = false",
    ),
    Mistake(
        "a bucket that everybody may read",
        "claims prod",
        _STORAGE,
        "",
        """
resource "google_storage_bucket_iam_member" "everybody" {
  bucket = google_storage_bucket.sources.name
  role   = "roles/storage.objectViewer"
  member = "allUsers"
}
""",
    ),
    Mistake(
        "a bucket without our key",
        "claims prod",
        _STORAGE,
        '  encryption {\n    default_kms_key_name = local.keys["functions"]\n  }\n',
    ),
    Mistake(
        "a topic without our key",
        "claims prod",
        _EVENTS,
        '  kms_key_name = local.keys["pubsub"]\n',
    ),
    Mistake(
        "a function without our key", "policies", _FUNCTION, "  kms_key_name    = var.kms_key\n"
    ),
    Mistake(
        "a subscription without dead letters",
        "claims prod",
        _EVENTS,
        "for_each = contains(keys(local.own_topics), each.key) ? [google_pubsub_topic.dead_letters.id] : []",
        "for_each = toset([])",
    ),
    Mistake(
        "deliveries without a token",
        "policies",
        _EVENTS,
        """    oidc_token {
      service_account_email = google_service_account.push.email
      audience              = module.function[each.key].uri
    }
""",
    ),
    Mistake(
        "deliveries without back-off",
        "policies",
        _EVENTS,
        """  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
""",
    ),
    Mistake(
        "ten deliveries, where the code counts on five",
        "claims prod",
        _EVENTS,
        "max_deliveries = 5",
        "max_deliveries = 10",
    ),
    Mistake(
        "functions that share an account",
        "tests",
        "terraform/modules/function/outputs.tf",
        "google_service_account.this.email",
        '"shared@example.iam.gserviceaccount.com"',
    ),
    Mistake(
        "functions that can be reached around the load balancer",
        "claims prod",
        _FUNCTION,
        'var.kind == "http" ? "ALLOW_INTERNAL_AND_GCLB" : "ALLOW_INTERNAL_ONLY"',
        '"ALLOW_ALL"',
    ),
    Mistake(
        "an event function that everybody may call",
        "claims prod",
        _FUNCTION,
        'var.kind == "http" ? "allUsers" : var.pusher',
        '"allUsers"',
    ),
    Mistake(
        "a primitive role", "claims prod", _IAM, '"roles/telemetry.tracesWriter"', '"roles/editor"'
    ),
    Mistake(
        "a key file of a service account",
        "claims prod",
        _IAM,
        "",
        """
resource "google_service_account_key" "builder" {
  service_account_id = google_service_account.builder.name
}
""",
    ),
    Mistake(
        "patients' keys for a function that does not unwrap them",
        "tests",
        _IAM,
        'concat(["(default)"], contains(uses, "keys") ? ["keys"] : [])',
        'concat(["(default)"], ["keys"])',
    ),
    Mistake(
        "an index that a query needs and nobody makes",
        "claims prod",
        _FIRESTORE,
        "for_each = local.indexes",
        'for_each = { for name, index in local.indexes : name => index if index.collectionGroup != "waitlist" }',
    ),
    Mistake(
        "a time to live on clinical records",
        "claims prod",
        "firestore.indexes.json",
        '{ "collectionGroup": "history", "fieldPath": "sealed", "indexes": [] }',
        '{ "collectionGroup": "history", "fieldPath": "sealed", "ttl": true, "indexes": [] }',
    ),
    Mistake(
        "a database that can't be restored to a moment",
        "policies",
        _FIRESTORE,
        '"POINT_IN_TIME_RECOVERY_ENABLED"',
        '"POINT_IN_TIME_RECOVERY_DISABLED"',
    ),
    Mistake(
        "copies of patients' keys that outlive an erasure",
        "claims prod",
        _FIRESTORE,
        'retention = "${7 * 86400}s"',
        'retention = "${28 * 86400}s"',
    ),
    Mistake(
        "rules that are not released to the database of keys",
        "claims prod",
        "terraform/rules.tf",
        '    keys        = "cloud.firestore/keys"\n',
    ),
    Mistake(
        "a key that lies elsewhere than the database",
        "tests",
        "terraform/kms.tf",
        "database = local.firestore_key_location",
        "database = var.region",
    ),
    Mistake(
        "a clock that fires at another time than the catalogue says",
        "claims prod",
        "terraform/scheduler.tf",
        "schedule  = each.value.schedule",
        'schedule  = "0 * * * *"',
    ),
    Mistake(
        "files that nobody is told of",
        "claims prod",
        _EVENTS,
        "object_name_prefix = each.value.stored.prefix",
        'object_name_prefix = "sounds/"',
    ),
    Mistake(
        "a secret in the state",
        "policies",
        "terraform/secrets.tf",
        "  secret_data_wo         = ephemeral.random_bytes.own[each.key].base64\n"
        "  secret_data_wo_version = each.value.version\n",
        '  secret_data = "a value"\n',
    ),
    Mistake(
        "an audit log that can be deleted",
        "claims prod",
        "terraform/audit_logs.tf",
        "is_locked   = var.is_protected",
        "is_locked   = false",
    ),
    Mistake(
        "paths that lead to no function",
        "tests",
        "terraform/load_balancer.tf",
        '[path, "/v1${path}"]',
        "[path]",
    ),
    Mistake(
        "a backend without Cloud Armor",
        "policies",
        "terraform/load_balancer.tf",
        "  security_policy       = google_compute_security_policy.api.id\n",
    ),
    Mistake(
        "who deploys owns the project",
        "claims bootstrap",
        "terraform/bootstrap/accounts.tf",
        '"run.admin",',
        '"owner",',
    ),
    Mistake(
        "an alarm on a metric that nobody counts",
        "agreement",
        "terraform/metrics.yaml",
        "  - name: races_lost\n",
        "  - name: races_won\n",
    ),
    Mistake(
        "a variable that the code does not read",
        "agreement",
        "terraform/functions.tf",
        "SPEECH_MODEL ",
        "SPEECH_MODELL",
    ),
    Mistake(
        "a function that may not store what it makes",
        "agreement",
        "functions/catalog.yaml",
        "results: [read, create, delete]",
        "results: [read, delete]",
    ),
    Mistake(
        "an argument that the provider does not have",
        "cycle prod",
        "terraform/scheduler.tf",
        "time_zone = ",
        "timezone = ",
    ),
    Mistake(
        "a file that is not formatted",
        "fmt",
        "terraform/scheduler.tf",
        "  name      = ",
        "  name = ",
    ),
)


def main(numbers: list[str]) -> int:
    """0 when every mistake was noticed."""
    from tests.terraform.__main__ import check

    wanted = {int(number) for number in numbers} or set(range(1, len(MISTAKES) + 1))
    table = Table("", "mistake", "noticed by", title="Mistakes", title_justify="left")
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in sorted(wanted):
            mistake = MISTAKES[number - 1]
            made = _made(mistake, Path(folder) / str(number))
            is_noticed = not check(made, only=mistake.noticed_by, is_quiet=True)
            missed += not is_noticed
            table.add_row(str(number), mistake.what, mistake.noticed_by if is_noticed else "NOBODY")
            print(f"{number} {mistake.what}: {'noticed' if is_noticed else 'MISSED'}", flush=True)
            shutil.rmtree(made)
    Console().print(table)
    return 1 if missed else 0


def _made(mistake: Mistake, root: Path) -> Path:
    """A copy of the tree, as git has it and with what is new, with the mistake in it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    file = root / mistake.file
    text = file.read_text()
    if mistake.old not in text:
        raise SystemExit(f"{mistake.file} no longer has what the mistake replaces: {mistake.what}")
    changed = text.replace(mistake.old, mistake.new, 1) if mistake.old else text + mistake.new
    file.write_text(changed)
    return root
