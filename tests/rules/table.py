"""The declared table of pairs: who may read and write what."""

from collections.abc import Iterator
from datetime import UTC, datetime

from tests.rules import allowed, attempts, shapes
from tests.rules.allowed import (
    ACCOUNT,
    ADDED,
    APPOINTMENT,
    APPOINTMENTS,
    AT_ONCE,
    AUTHORED,
    DEVICE_PATH,
    DEVICES,
    DOCTORS_APPOINTMENT,
    DOCTORS_APPOINTMENTS,
    DOCTORS_IMAGE,
    DOCTORS_RECORDING,
    EARLIER,
    ENTRIES,
    ENTRY,
    ENTRY_PATH,
    GRANT_PATH,
    GRANTED,
    IMAGE,
    IMAGE_PATH,
    IMAGES,
    MOVED,
    NEW_DEVICE,
    NOTE_PATH,
    NOTES,
    OWN,
    PRACTICED,
    PROFILE,
    RECORD,
    RECORD_PATH,
    RECORDED,
    RECORDING,
    RECORDING_PATH,
    RECORDINGS,
    REMOVED,
    UNREAD,
    VISIT,
    VISIT_PATH,
)
from tests.rules.attempts import (
    Attempt,
    changing,
    commit,
    creating,
    deleting,
    get,
    is_,
    is_own,
    list_,
    patch,
    query,
    setting,
)
from tests.rules.pairs import Pair, beside

# ---------------------------------------------------------------- who


def _whose() -> Iterator[Pair]:
    """Everything is refused to anybody else, and to the person once they may not either."""
    for what, success in allowed.PER_PERSON.items():
        peer = "patient" if success.who == "doctor" else "doctor"
        for who in ("nobody", "other", "admin", "demoted_admin", peer):
            yield Pair(f"{what} is refused to {who}", success.by(who), success)
        for who in ("deactivated", "switched_off"):
            yield Pair(f"{what} is refused once {who}", success.as_(who), success)
        again = success.as_("signed_in_again")
        yield Pair(f"{what} is refused once signed_out", success.as_("signed_out"), again)


_SESSIONS = [
    *beside(
        ACCOUNT.as_("ended_a_moment_before"),
        a_sign_in_within_the_second_of_the_sign_out_is_void=ACCOUNT.as_("ended_within_the_second"),
        a_sign_in_on_the_second_of_the_sign_out_is_void=ACCOUNT.as_("ended_on_the_second"),
        a_sign_in_before_the_sign_out_is_void=ACCOUNT.as_("ended_later"),
    ),
    *beside(
        ACCOUNT.as_("never_ended"),
        an_account_without_a_profile_is_not_active=ACCOUNT.as_("unprofiled"),
    ),
    *beside(
        PROFILE.as_("demoted_doctor"),
        a_demoted_doctor_reads_no_other_profile=PROFILE.by("demoted_doctor"),
    ),
    *beside(
        ACCOUNT.as_("demoted_admin"),
        a_demoted_admin_reads_no_other_account=ACCOUNT.by("demoted_admin"),
    ),
]

# ---------------------------------------------------------------- accounts and profiles

_ADMIN = {"role": "admin"}
_VERIFIED = {"is_verified": True}
_ENTRY = {"type": "note", "occurred_on": "2026-01-05"}
_ON_THE_TEAM = {f"{RECORD_PATH}/access_grants/{{doctor}}": {"is_on_care_team": True}}


def _named(path: str) -> object:
    """A query's condition that only one document meets."""
    return is_("__name__", {"referenceValue": f"{{documents}}/{path}"})


_READS = [
    *beside(
        ACCOUNT,
        accounts_are_not_listed=ACCOUNT.but(list_("users")),
        accounts_are_not_queried=ACCOUNT.but(query("users")),
        not_even_the_own_account_is_queried=ACCOUNT.but(query("users", where=_named(OWN))),
        accounts_are_not_queried_across_parents=ACCOUNT.but(query("users", is_group=True)),
        a_foreign_account_spoils_a_read_of_two=ACCOUNT.but(attempts.get_both(OWN, "users/{other}")),
    ),
    *beside(
        PROFILE,
        profiles_are_not_listed=PROFILE.but(list_("doctors")),
        profiles_are_not_queried=PROFILE.but(query("doctors")),
        not_even_the_own_profile_is_queried=PROFILE.but(
            query("doctors", where=_named("doctors/{owner}"))
        ),
    ),
    *beside(
        RECORD,
        records_are_not_listed=RECORD.but(list_("patients")),
        records_are_not_queried=RECORD.but(query("patients")),
        not_even_the_own_record_is_queried=RECORD.but(query("patients", where=_named(RECORD_PATH))),
        a_doctor_on_the_care_team_reads_no_record=RECORD.but(RECORD.request, _ON_THE_TEAM).by(
            "doctor"
        ),
    ),
    *beside(
        ENTRIES,
        histories_are_not_queried_across_patients=ENTRIES.but(query("history", is_group=True)),
        histories_are_not_queried_below_a_patient=ENTRIES.but(
            query("history", RECORD_PATH, is_group=True)
        ),
        a_doctor_on_the_care_team_queries_no_history=ENTRIES.but(ENTRIES.request, _ON_THE_TEAM).by(
            "doctor"
        ),
    ),
    *beside(
        ENTRY,
        nothing_lies_below_an_entry=ENTRY.but(get(f"{ENTRY_PATH}/versions/000001")),
        a_doctor_on_the_care_team_reads_no_entry=ENTRY.but(ENTRY.request, _ON_THE_TEAM).by(
            "doctor"
        ),
    ),
    *beside(
        NOTES,
        notifications_are_not_queried_across_people=NOTES.but(
            query("notifications", is_group=True)
        ),
        unread_ones_are_not_queried_across_people=NOTES.but(
            query("notifications", is_group=True, where=is_("is_read", {"booleanValue": False}))
        ),
    ),
    *beside(
        DEVICES,
        devices_are_not_queried_across_people=DEVICES.but(query("devices", is_group=True)),
        devices_are_not_queried_below_a_person=DEVICES.but(query("devices", OWN, is_group=True)),
    ),
]

_VISIT_AT = {VISIT_PATH: VISIT}
_CANCELLED = {"status": "cancelled"}

_VISITS = [
    *beside(
        APPOINTMENTS,
        appointments_are_not_listed=APPOINTMENTS.but(list_("appointments")),
        appointments_are_not_queried_whole=APPOINTMENTS.but(query("appointments")),
        somebody_elses_appointments_are_not_queried=APPOINTMENTS.but(
            query("appointments", where=is_own("patient_id", "{other}"))
        ),
        a_doctors_patients_are_not_queried=APPOINTMENTS.but(
            query("appointments", where=is_own("doctor_id", "{doctor}"))
        ),
        appointments_are_not_queried_by_status=APPOINTMENTS.but(
            query("appointments", where=is_("status", {"stringValue": "booked"}))
        ),
        no_administrator_queries_appointments=APPOINTMENTS.by("admin"),
    ),
    *beside(
        APPOINTMENT,
        nothing_lies_below_an_appointment=APPOINTMENT.but(get(f"{VISIT_PATH}/private/notes")),
        an_appointment_of_others_is_not_read=APPOINTMENT.but(
            APPOINTMENT.request, {VISIT_PATH: {**VISIT, "patient_id": "{other}"}}
        ),
    ),
    *beside(
        DOCTORS_APPOINTMENT,
        an_unverified_doctor_reads_no_appointment=DOCTORS_APPOINTMENT.as_("unverified_doctor"),
        a_demoted_doctor_reads_no_appointment=DOCTORS_APPOINTMENT.as_("demoted_doctor"),
        a_stranger_reads_no_doctors_appointment=DOCTORS_APPOINTMENT.by("other"),
        a_closed_account_reads_no_doctors_appointment=DOCTORS_APPOINTMENT.as_("deactivated"),
        no_administrator_reads_a_doctors_appointment=DOCTORS_APPOINTMENT.by("admin"),
        another_doctor_reads_no_appointment=DOCTORS_APPOINTMENT.but(
            DOCTORS_APPOINTMENT.request, {VISIT_PATH: {**PRACTICED, "doctor_id": "{other}"}}
        ),
    ),
    *beside(
        DOCTORS_APPOINTMENTS,
        an_unverified_doctor_queries_no_appointments=DOCTORS_APPOINTMENTS.as_("unverified_doctor"),
        a_doctor_queries_no_patients_appointments=DOCTORS_APPOINTMENTS.but(
            query("appointments", where=is_own("patient_id", "{patient}"))
        ),
    ),
    *beside(
        MOVED,
        no_patient_cancels_past_the_api=MOVED.but(
            commit(changing(VISIT_PATH, _CANCELLED)), _VISIT_AT
        ),
        no_doctor_cancels_past_the_api=MOVED.but(
            commit(changing(VISIT_PATH, _CANCELLED)), {VISIT_PATH: PRACTICED}
        ).as_("doctor"),
    ),
    *beside(ADDED, no_patient_books_past_the_api=ADDED.but(commit(creating(VISIT_PATH, VISIT)))),
    *beside(
        REMOVED,
        no_patient_deletes_an_appointment=REMOVED.but(commit(deleting(VISIT_PATH)), _VISIT_AT),
    ),
]

_WRITES = [
    *beside(
        MOVED,
        no_one_changes_their_role=MOVED.but(commit(changing(OWN, _ADMIN))),
        no_one_patches_their_role=MOVED.but(patch(f"{OWN}?updateMask.fieldPaths=role", _ADMIN)),
        no_one_restores_their_record=MOVED.but(
            commit(changing(RECORD_PATH, {"is_archived": False})), {RECORD_PATH: _ENTRY}
        ),
        no_one_amends_an_entry=MOVED.but(
            commit(changing(ENTRY_PATH, _ENTRY)), {ENTRY_PATH: _ENTRY}
        ),
        no_administrator_restores_a_record=MOVED.but(
            commit(changing(RECORD_PATH, {"is_archived": False})), {RECORD_PATH: _ENTRY}
        ).by("admin"),
        no_administrator_amends_an_entry=MOVED.but(
            commit(changing(ENTRY_PATH, _ENTRY)), {ENTRY_PATH: _ENTRY}
        ).by("admin"),
        no_doctor_on_the_care_team_amends_an_entry=MOVED.but(
            commit(changing(ENTRY_PATH, _ENTRY)), {ENTRY_PATH: _ENTRY, **_ON_THE_TEAM}
        ).by("doctor"),
        no_one_reopens_a_session=MOVED.but(commit(changing(OWN, {}, ("tokens_valid_after",)))),
        no_administrator_changes_an_account=MOVED.but(commit(changing(OWN, _ADMIN))).by("admin"),
        no_doctor_verifies_themself=MOVED.but(commit(changing("doctors/{owner}", _VERIFIED))).as_(
            "doctor"
        ),
    ),
    *beside(
        ADDED,
        no_one_makes_their_account=ADDED.but(commit(creating(OWN, _ADMIN))).as_("unprofiled"),
        no_one_replaces_their_account=ADDED.but(commit(setting(OWN, _ADMIN))),
        no_one_makes_their_record=ADDED.but(commit(creating(RECORD_PATH, _ENTRY))),
        no_one_makes_an_entry=ADDED.but(commit(creating(ENTRY_PATH, _ENTRY))),
        no_doctor_makes_an_entry=ADDED.but(commit(creating(ENTRY_PATH, _ENTRY))).by("doctor"),
        no_administrator_makes_an_entry=ADDED.but(commit(creating(ENTRY_PATH, _ENTRY))).by("admin"),
        no_one_makes_a_profile=ADDED.but(commit(creating("doctors/{owner}", _VERIFIED))),
    ),
    *beside(
        REMOVED,
        no_one_deletes_their_account=REMOVED.but(attempts.delete(OWN)),
        no_one_deletes_their_profile=REMOVED.but(attempts.delete("doctors/{owner}")).as_("doctor"),
        no_one_deletes_their_record=REMOVED.but(attempts.delete(RECORD_PATH)),
        no_one_deletes_an_entry=REMOVED.but(commit(deleting(ENTRY_PATH)), {ENTRY_PATH: _ENTRY}),
        no_administrator_deletes_a_record=REMOVED.but(attempts.delete(RECORD_PATH)).by("admin"),
        no_administrator_deletes_an_entry=REMOVED.but(
            commit(deleting(ENTRY_PATH)), {ENTRY_PATH: _ENTRY}
        ).by("admin"),
        no_one_deletes_a_notification=REMOVED.but(commit(deleting(NOTE_PATH)), {NOTE_PATH: UNREAD}),
    ),
    *beside(
        AT_ONCE,
        one_refused_write_spoils_the_others=AT_ONCE.but(
            commit(creating(DEVICE_PATH, NEW_DEVICE), creating("audit_events/{new}", {"a": 1})), {}
        ),
    ),
]

# ---------------------------------------------------------------- all the rest

_LATER = datetime(2199, 1, 1, tzinfo=UTC)


def _granted(**other: object) -> Attempt:
    """The doctor's recording, with another grant than that of the care team."""
    given = {RECORDING_PATH: AUTHORED, GRANT_PATH: {**GRANTED, **other}}
    return DOCTORS_RECORDING.but(DOCTORS_RECORDING.request, given)


_OFF = {"is_on_care_team": False}
_LATER_SECONDS, _EARLIER_SECONDS = int(_LATER.timestamp()), int(EARLIER.timestamp())
_RECORDED_AT = {RECORDING_PATH: RECORDED}

_RECORDINGS = [
    *beside(
        RECORDINGS,
        recordings_are_not_queried_whole=RECORDINGS.but(query("transcriptions")),
        recordings_of_others_are_not_queried=RECORDINGS.but(
            query("transcriptions", where=is_("patient_id", {"stringValue": "{other}"}))
        ),
    ),
    *beside(
        RECORDING,
        nothing_that_was_said_is_read=RECORDING.but(get(f"{RECORDING_PATH}/private/000001")),
        no_note_is_read=RECORDING.but(get(f"{RECORDING_PATH}/notes/000001")),
        a_recording_of_another_is_not_read=RECORDING.but(
            RECORDING.request, {RECORDING_PATH: {**RECORDED, "patient_id": "{other}"}}
        ),
    ),
    *beside(
        DOCTORS_RECORDING,
        a_doctor_off_the_team_reads_no_recording=_granted(**_OFF),
        a_doctor_whose_grant_has_ended_reads_no_recording=_granted(care_team_until=EARLIER),
        a_doctor_whose_visits_are_long_ago_reads_no_recording=_granted(
            **_OFF, visits_until=_EARLIER_SECONDS
        ),
        a_doctor_whose_emergency_is_over_reads_no_recording=_granted(
            **_OFF, break_glass_until=EARLIER
        ),
        a_doctor_without_a_grant_reads_no_recording=DOCTORS_RECORDING.but(
            DOCTORS_RECORDING.request, {RECORDING_PATH: AUTHORED}
        ),
        an_unverified_doctor_reads_no_recording=DOCTORS_RECORDING.as_("unverified_doctor"),
        a_demoted_doctor_reads_no_recording=DOCTORS_RECORDING.as_("demoted_doctor"),
        a_stranger_reads_no_doctors_recording=DOCTORS_RECORDING.by("other"),
        no_administrator_reads_a_doctors_recording=DOCTORS_RECORDING.by("admin"),
        a_closed_account_reads_no_doctors_recording=DOCTORS_RECORDING.as_("deactivated"),
    ),
    *beside(
        _granted(care_team_until=_LATER),
        a_grant_that_ended_is_none=_granted(care_team_until=EARLIER),
    ),
    *beside(
        _granted(**_OFF, visits_until=_LATER_SECONDS),
        a_visit_long_ago_is_none=_granted(**_OFF, visits_until=_EARLIER_SECONDS),
    ),
    *beside(
        _granted(**_OFF, break_glass_until=_LATER),
        an_emergency_that_is_over_is_none=_granted(**_OFF, break_glass_until=EARLIER),
    ),
    *beside(
        MOVED,
        no_patient_changes_a_recording=MOVED.but(
            commit(changing(RECORDING_PATH, {"state": "completed"})), _RECORDED_AT
        ),
    ),
    *beside(
        ADDED,
        no_patient_announces_past_the_api=ADDED.but(commit(creating(RECORDING_PATH, RECORDED))),
    ),
    *beside(
        REMOVED,
        no_patient_deletes_a_recording=REMOVED.but(commit(deleting(RECORDING_PATH)), _RECORDED_AT),
    ),
]

_IMAGED_AT = {IMAGE_PATH: RECORDED}

_IMAGES = [
    *beside(
        IMAGES,
        images_are_not_queried_whole=IMAGES.but(query("medical_images")),
        images_of_others_are_not_queried=IMAGES.but(
            query("medical_images", where=is_("patient_id", {"stringValue": "{other}"}))
        ),
    ),
    *beside(
        IMAGE,
        nothing_that_was_found_in_an_image_is_read=IMAGE.but(get(f"{IMAGE_PATH}/private/findings")),
        an_image_of_another_is_not_read=IMAGE.but(
            IMAGE.request, {IMAGE_PATH: {**RECORDED, "patient_id": "{other}"}}
        ),
    ),
    *beside(
        DOCTORS_IMAGE,
        a_doctor_off_the_team_reads_no_image=DOCTORS_IMAGE.but(
            DOCTORS_IMAGE.request, {IMAGE_PATH: AUTHORED, GRANT_PATH: {**GRANTED, **_OFF}}
        ),
        an_unverified_doctor_reads_no_image=DOCTORS_IMAGE.as_("unverified_doctor"),
        a_stranger_reads_no_doctors_image=DOCTORS_IMAGE.by("other"),
        no_administrator_reads_a_doctors_image=DOCTORS_IMAGE.by("admin"),
        a_closed_account_reads_no_doctors_image=DOCTORS_IMAGE.as_("deactivated"),
    ),
    *beside(
        MOVED,
        no_patient_changes_an_image=MOVED.but(
            commit(changing(IMAGE_PATH, {"state": "completed"})), _IMAGED_AT
        ),
    ),
    *beside(
        ADDED,
        no_patient_announces_an_image_past_the_api=ADDED.but(
            commit(creating(IMAGE_PATH, RECORDED))
        ),
    ),
    *beside(
        REMOVED,
        no_patient_deletes_an_image=REMOVED.but(commit(deleting(IMAGE_PATH)), _IMAGED_AT),
    ),
]

_SEALED = (
    "appointments",
    "audit_events",
    "calendar_feeds",
    "conversations/{owner}/exchanges",
    "conversations/{owner}/threads",
    "dead_letters",
    "doctors/{owner}/booked",
    "doctors/{owner}/metrics",
    "doctors/{owner}/reviews",
    "idempotency_keys",
    "knowledge",
    "medical_images",
    "medical_images/{owner}/private",
    "messages",
    "patient_keys",
    "patients/{owner}/access_grants",
    "patients/{owner}/booked",
    "patients/{owner}/consents",
    "patients/{owner}/break_glass",
    "patients/{owner}/deidentification",
    "patients/{owner}/history/{owner}/versions",
    "patients/{owner}/image_instances",
    "patients/{owner}/imaging_studies",
    "patients/{owner}/prompts",
    "rate_limits",
    "reminders",
    "transcriptions",
    "transcriptions/{owner}/notes",
    "transcriptions/{owner}/private",
    "unheard_of",
    "users/{owner}/unheard_of",
    "waitlist",
)


def _sealed() -> Iterator[Pair]:
    """Closed to everybody, whoever's they are: there is only the API."""
    for collection in _SEALED:
        parent, _, name = collection.rpartition("/")
        own = f"{collection}/{{owner}}"
        for who, refusal, attempt, success in (
            ("a patient", "reads", ACCOUNT.but(get(own)), ACCOUNT),
            ("an administrator", "reads", ACCOUNT.but(get(own)).as_("admin"), ACCOUNT),
            ("a doctor", "lists", NOTES.but(query(name, parent)).as_("doctor"), NOTES),
            ("a patient", "finds", NOTES.but(query(name, is_group=True)), NOTES),
            ("a patient", "writes", ADDED.but(commit(creating(own, NEW_DEVICE))), ADDED),
            (
                "an administrator",
                "deletes",
                REMOVED.but(commit(deleting(own))).as_("admin"),
                REMOVED,
            ),
        ):
            yield Pair(f"{who} {refusal} no {collection}", attempt, success)


def _below_a_record() -> Iterator[Pair]:
    """Closed to those too who see the patient through the API."""
    for collection in filter(lambda name: name.startswith(RECORD_PATH), _SEALED):
        parent, _, name = collection.rpartition("/")
        one, all_ = get(f"{collection}/{{doctor}}"), query(name, parent)
        for who, uid, given in (
            ("a doctor on the care team", "doctor", _ON_THE_TEAM),
            ("a patient's administrator", "admin", {}),
        ):
            yield Pair(f"{who} reads no {collection}", ENTRY.but(one, given).by(uid), ENTRY)
            yield Pair(f"{who} queries no {collection}", ENTRIES.but(all_, given).by(uid), ENTRIES)


PAIRS = [
    *_whose(),
    *_SESSIONS,
    *_READS,
    *_VISITS,
    *_RECORDINGS,
    *_IMAGES,
    *_WRITES,
    *shapes.NOTIFICATIONS,
    *shapes.DEVICES,
    *_sealed(),
    *_below_a_record(),
]
