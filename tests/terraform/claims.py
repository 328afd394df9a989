"""What the plan of an environment must be like, whatever it is made of: read from `terraform plan`'s JSON.

`terraform test` looks at resources by name; these look at all of a kind, so that
one that is added later is looked at too.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import catalog, topics
from local.bootstrap import ROOT

Json = dict[str, Any]

_PRIMITIVE = {"roles/owner", "roles/editor", "roles/viewer"}
_EVERYBODY = {"allUsers", "allAuthenticatedUsers"}
_INVOKER = "roles/run.invoker"

CMEK = {
    "google_storage_bucket": "encryption.0.default_kms_key_name",
    "google_pubsub_topic": "kms_key_name",
    "google_cloudfunctions2_function": "kms_key_name",
    "google_artifact_registry_repository": "kms_key_name",
    "google_firestore_database": "cmek_config.0.kms_key_name",
    "google_logging_project_bucket_config": "cmek_settings.0.kms_key_name",
    "google_secret_manager_secret": "replication.0.user_managed.0.replicas.0.customer_managed_encryption.0.kms_key_name",
    "google_compute_instance_template": "disk.0.disk_encryption_key.0.kms_key_self_link",
    "google_compute_region_instance_template": "disk.0.disk_encryption_key.0.kms_key_self_link",
    "google_compute_disk": "disk_encryption_key.0.kms_key_self_link",
    "google_bigquery_dataset": "default_encryption_configuration.0.kms_key_name",
}
"""Where each kind of resource that keeps data names its key."""

MAY_EXPIRE = {"idempotency_keys", "rate_limits", "messages"}
"""Collections that hold nothing clinical, so that a time to live may delete from them."""


@dataclass(frozen=True)
class Resource:
    address: str
    type: str
    values: Json
    unknown: Json

    def get(self, path: str) -> Any:
        """The value at a dotted path, None when it is not there; True for what only an apply tells."""
        value: Any = self.values
        unknown: Any = self.unknown
        for part in path.split("."):
            step: Any = int(part) if part.isdigit() else part
            unknown = unknown if unknown is True else _at(unknown, step)
            value = _at(value, step)
            if unknown is True and value is None:
                return True
        return value


def _at(value: Any, step: Any) -> Any:
    if isinstance(step, int):
        return value[step] if isinstance(value, list) and len(value) > step else None
    return value.get(step) if isinstance(value, dict) else None


class Plan:
    def __init__(self, path: Path) -> None:
        read = json.loads(path.read_text())
        self.is_protected: bool = read["variables"].get("is_protected", {}).get("value", True)
        changes = read["resource_changes"]
        self.resources = [
            Resource(
                change["address"],
                change["type"],
                change["change"]["after"] or {},
                change["change"].get("after_unknown") or {},
            )
            for change in changes
            if change["mode"] == "managed"
        ]

    def of(self, *types: str) -> list[Resource]:
        return [each for each in self.resources if each.type in types]


Claim = Callable[[Plan], Iterator[str]]


def nothing_is_public(plan: Plan) -> Iterator[str]:
    for each in plan.resources:
        if each.get("role") != _INVOKER and _members(each) & _EVERYBODY:
            yield f"{each.address} gives {each.get('role')} to everybody"
    for bucket in plan.of("google_storage_bucket"):
        if bucket.get("public_access_prevention") != "enforced":
            yield f"{bucket.address} may be made public"
        if bucket.get("uniform_bucket_level_access") is not True:
            yield f"{bucket.address} has access lists of single objects"


def the_api_and_nothing_else_can_be_called_by_everybody(plan: Plan) -> Iterator[str]:
    """The functions of the API check tokens themselves."""
    opened = {
        re.search(r'\["(\w+)"\]', each.address)[1]  # type: ignore[index]
        for each in plan.resources
        if each.get("role") == _INVOKER and _members(each) & _EVERYBODY
    }
    for name in opened ^ {f.name for f in catalog.read() if f.kind == "http"}:
        yield f"the function {name} is open to everybody, or is not, and should be the other"


def _members(grant: Resource) -> set[str]:
    """To whom it is given; empty for what is no grant, or as long as only an apply tells."""
    if "_iam_" not in grant.type:
        return set()
    several = grant.get("members")
    return {grant.get("member"), *(several if isinstance(several, list) else [])}


def no_role_is_primitive(plan: Plan) -> Iterator[str]:
    for each in plan.resources:
        if "_iam_" in each.type and each.get("role") in _PRIMITIVE:
            yield f"{each.address} gives {each.get('role')}"


def no_account_has_a_key_file(plan: Plan) -> Iterator[str]:
    for each in plan.of("google_service_account_key", "google_storage_hmac_key"):
        yield f"{each.address} is a key that could leak"


def everything_that_keeps_data_has_our_key(plan: Plan) -> Iterator[str]:
    for each in plan.of(*CMEK):
        if not each.get(CMEK[each.type]):
            yield f"{each.address} is not under a key of ours"


def every_function_is_as_the_catalogue_says(plan: Plan) -> Iterator[str]:
    functions = {
        each.get("build_config.0.entry_point"): each
        for each in plan.of("google_cloudfunctions2_function")
    }
    declared = {function.name: function for function in catalog.read()}
    for name in functions.keys() ^ declared.keys():
        yield f"{name} is in the plan or in the catalogue, not in both"
    for name in functions.keys() & declared.keys():
        function, planned = declared[name], functions[name]
        for path, wanted in (
            ("available_memory", function.memory),
            ("timeout_seconds", function.timeout),
            ("max_instance_request_concurrency", function.concurrency),
        ):
            if planned.get(f"service_config.0.{path}") != wanted:
                yield f"{planned.address}: {path} is not {wanted}"
        inner = "ALLOW_INTERNAL_AND_GCLB" if function.kind == "http" else "ALLOW_INTERNAL_ONLY"
        if planned.get("service_config.0.ingress_settings") != inner:
            yield f"{planned.address} can be reached otherwise than by {inner}"


def every_message_that_fails_is_kept(plan: Plan) -> Iterator[str]:
    pushed = {
        each.get("name"): each
        for each in plan.of("google_pubsub_subscription")
        if each.get("push_config")
    }
    declared = {function.name: function for function in catalog.read() if function.kind != "http"}
    for name in pushed.keys() ^ declared.keys():
        yield f"{name} is subscribed or should be, not both"
    for name in pushed.keys() & declared.keys():
        each, function = pushed[name], declared[name]
        if not each.get("push_config.0.oidc_token.0.service_account_email"):
            yield f"{each.address} pushes without a token"
        if function.topic is None and not each.get("dead_letter_policy.0.dead_letter_topic"):
            yield f"{each.address} loses what fails: it has no dead letters"
        if function.topic is None and each.get("dead_letter_policy.0.max_delivery_attempts") != 5:
            yield f"{each.address} does not deliver five times, which common/events.py counts on"
        if not each.get("retry_policy.0.minimum_backoff"):
            yield f"{each.address} delivers again at once, without back-off"
        if each.get("expiration_policy.0.ttl") not in ("", None):
            yield f"{each.address} expires"
    names = {each.get("name") for each in plan.of("google_pubsub_topic")}
    for name in {topics.topic(function) for function in declared.values()} - names:
        yield f"the topic {name} is missing"


def every_clock_fires_as_the_catalogue_says(plan: Plan) -> Iterator[str]:
    jobs = {each.get("schedule") for each in plan.of("google_cloud_scheduler_job")}
    clocks = [function for function in catalog.read() if function.kind == "clock"]
    if len(plan.of("google_cloud_scheduler_job")) != len(clocks):
        yield "there are not as many jobs as clock functions"
    for function in clocks:
        if function.schedule not in jobs:
            yield f"{function.name} is not fired at {function.schedule}"
    for each in plan.of("google_cloud_scheduler_job"):
        if each.get("time_zone") not in ("Etc/UTC", "UTC"):
            yield f"{each.address} is not fired by UTC"


def every_object_is_told_of(plan: Plan) -> Iterator[str]:
    told = {each.get("object_name_prefix") for each in plan.of("google_storage_notification")}
    wanted = {f.stored.prefix for f in catalog.read() if f.stored is not None}
    if told != wanted:
        yield f"notifications are for {sorted(map(str, told))}, functions wait for {sorted(wanted)}"
    for each in plan.of("google_storage_notification"):
        if (
            each.get("event_types") != ["OBJECT_FINALIZE"]
            or each.get("payload_format") != "JSON_API_V1"
        ):
            yield f"{each.address} does not tell what common/events.py reads"


def every_index_is_made(plan: Plan) -> Iterator[str]:
    declared = json.loads((ROOT / "firestore.indexes.json").read_text())
    wanted = {
        (
            i["collectionGroup"],
            i["queryScope"],
            tuple((f["fieldPath"], f.get("order")) for f in i["fields"]),
        )
        for i in declared["indexes"]
    }
    made = {
        (
            each.get("collection"),
            each.get("query_scope"),
            tuple((f["field_path"], f.get("order")) for f in each.get("fields")),
        )
        for each in plan.of("google_firestore_index")
    }
    for index in wanted ^ made:
        yield f"the index {index} is declared or made, not both"
    fields = {
        (each.get("collection"), each.get("field")): each
        for each in plan.of("google_firestore_field")
    }
    overrides = {(o["collectionGroup"], o["fieldPath"]): o for o in declared["fieldOverrides"]}
    for field in fields.keys() ^ overrides.keys():
        yield f"the field {field} is declared or made, not both"
    for key, override in overrides.items():
        each = fields.get(key)
        if each is None:
            continue
        if bool(override.get("ttl")) != (
            each.get("ttl_config") is not None and each.get("ttl_config") != []
        ):
            yield f"{each.address}: its time to live is not as declared"
        if override.get("ttl") and key[0] not in MAY_EXPIRE:
            yield f"{each.address}: {key[0]} may hold what is clinical, and would expire"
        orders = {
            (i.get("order"), i.get("query_scope")) for i in each.get("index_config.0.indexes") or []
        }
        if orders != {(i["order"], i["queryScope"]) for i in override["indexes"]}:
            yield f"{each.address}: its indexes are not as declared"


def databases_are_kept(plan: Plan) -> Iterator[str]:
    databases = {each.get("name"): each for each in plan.of("google_firestore_database")}
    if set(databases) != {"(default)", "keys"}:
        yield f"the databases are {sorted(databases)}"
    for each in databases.values():
        is_protected = each.get("delete_protection_state") == "DELETE_PROTECTION_ENABLED"
        if plan.is_protected and not is_protected:
            yield f"{each.address} can be deleted"
        if each.get("point_in_time_recovery_enablement") != "POINT_IN_TIME_RECOVERY_ENABLED":
            yield f"{each.address} can't be restored to a moment"
    if not plan.of("google_firestore_backup_schedule"):
        yield "nothing is backed up"
    for each in plan.of("google_firestore_backup_schedule"):
        if (
            each.get("database") == "keys"
            and int(str(each.get("retention")).rstrip("s")) > 7 * 86400
        ):
            yield f"{each.address} keeps keys for longer than seven days: who is erased could be read"
    released = {each.get("name") for each in plan.of("google_firebaserules_release")}
    if released != {"cloud.firestore", "cloud.firestore/keys"}:
        yield f"rules are released to {sorted(map(str, released))}"


def the_trail_is_kept(plan: Plan) -> Iterator[str]:
    buckets = {
        each.get("bucket_id"): each for each in plan.of("google_logging_project_bucket_config")
    }
    trail = buckets.get("audit")
    if trail is None:
        yield "there is no audit log"
    elif plan.is_protected and trail.get("locked") is not True:
        yield "the audit log can be deleted"
    elif plan.is_protected and trail.get("retention_days") < 6 * 365 + 1:
        yield "the audit log is not kept for six years"


def people_are_told(plan: Plan) -> Iterator[str]:
    if not plan.of("google_monitoring_notification_channel"):
        yield "nobody is told"
    for each in plan.of("google_monitoring_alert_policy"):
        if not each.get("notification_channels"):
            yield f"{each.address} tells nobody"


OF_ANY_PLAN: tuple[Claim, ...] = (
    nothing_is_public,
    no_role_is_primitive,
    no_account_has_a_key_file,
    everything_that_keeps_data_has_our_key,
)

OF_AN_ENVIRONMENT: tuple[Claim, ...] = (
    *OF_ANY_PLAN,
    the_api_and_nothing_else_can_be_called_by_everybody,
    every_function_is_as_the_catalogue_says,
    every_message_that_fails_is_kept,
    every_clock_fires_as_the_catalogue_says,
    every_object_is_told_of,
    every_index_is_made,
    databases_are_kept,
    the_trail_is_kept,
    people_are_told,
)


def broken(plan: Plan, claims: tuple[Claim, ...]) -> list[str]:
    """What the plan does not keep, a line each."""
    return [f"{claim.__name__}: {line}" for claim in claims for line in claim(plan)]
