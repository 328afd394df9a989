"""What the rules allow: one attempt for each thing that an app may do with Firestore itself."""

from datetime import UTC, datetime

from tests.rules.attempts import (
    NOW,
    Attempt,
    Fields,
    changing,
    commit,
    count,
    creating,
    delete,
    deleting,
    get,
    is_own,
    list_,
    query,
)

EARLIER = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)

OWN = "users/{owner}"
NOTE_PATH = f"{OWN}/notifications/{{new}}"
RECORD_PATH = "patients/{owner}"
ENTRY_PATH = f"{RECORD_PATH}/history/{{new}}"
VISIT_PATH = "appointments/{new}"
DEVICE_PATH = f"{OWN}/devices/{{new}}"

UNREAD: Fields = {"title": "Reminder", "is_read": False, "read_time": None}
READ: Fields = {"is_read": True, "read_time": NOW}
NEW_DEVICE: Fields = {"token": "{new}", "platform": "ios", "create_time": NOW, "update_time": NOW}
OLD_DEVICE: Fields = {**NEW_DEVICE, "create_time": EARLIER, "update_time": EARLIER}


VISIT: Fields = {"patient_id": "{owner}", "doctor_id": "somebody", "status": "booked"}
PRACTICED: Fields = {"patient_id": "somebody", "doctor_id": "{owner}", "status": "booked"}

RECORDING_PATH = "transcriptions/{new}"
RECORDED: Fields = {"patient_id": "{owner}", "author_uid": "somebody", "state": "processing"}
AUTHORED: Fields = {"patient_id": "{new}", "author_uid": "{owner}", "state": "processing"}
IMAGE_PATH = "medical_images/{new}"
GRANT_PATH = "patients/{new}/access_grants/{owner}"
GRANTED: Fields = {"is_on_care_team": True, "care_team_until": None, "visits_until": 0}


def added(token: str) -> Attempt:
    """A device under this name."""
    fields = {**NEW_DEVICE, "token": token}
    return Attempt("patient", commit(creating(f"{OWN}/devices/{token}", fields)))


ACCOUNT = Attempt("patient", get(OWN))
PROFILE = Attempt("doctor", get("doctors/{owner}"))
RECORD = Attempt("patient", get(RECORD_PATH))
ENTRY = Attempt("patient", get(ENTRY_PATH))
ENTRIES = Attempt("patient", query("history", RECORD_PATH))
ENTRIES_LISTED = Attempt("patient", list_(f"{RECORD_PATH}/history"))
APPOINTMENT = Attempt("patient", get(VISIT_PATH), {VISIT_PATH: VISIT})
APPOINTMENTS = Attempt("patient", query("appointments", where=is_own("patient_id")))
DOCTORS_APPOINTMENT = Attempt("doctor", get(VISIT_PATH), {VISIT_PATH: PRACTICED})
DOCTORS_APPOINTMENTS = Attempt("doctor", query("appointments", where=is_own("doctor_id")))
RECORDING = Attempt("patient", get(RECORDING_PATH), {RECORDING_PATH: RECORDED})
RECORDINGS = Attempt("patient", query("transcriptions", where=is_own("patient_id")))
DOCTORS_RECORDING = Attempt(
    "doctor", get(RECORDING_PATH), {RECORDING_PATH: AUTHORED, GRANT_PATH: GRANTED}
)
IMAGE = Attempt("patient", get(IMAGE_PATH), {IMAGE_PATH: RECORDED})
IMAGES = Attempt("patient", query("medical_images", where=is_own("patient_id")))
DOCTORS_IMAGE = Attempt("doctor", get(IMAGE_PATH), {IMAGE_PATH: AUTHORED, GRANT_PATH: GRANTED})
NOTE = Attempt("patient", get(NOTE_PATH), {NOTE_PATH: UNREAD})
NOTES = Attempt("patient", query("notifications", OWN))
NOTES_COUNTED = Attempt("patient", count("notifications", OWN))
NOTES_LISTED = Attempt("patient", list_(f"{OWN}/notifications"))
MARKED = Attempt("patient", commit(changing(NOTE_PATH, READ)), {NOTE_PATH: UNREAD})
DEVICE = Attempt("patient", get(DEVICE_PATH), {DEVICE_PATH: OLD_DEVICE})
DEVICES = Attempt("patient", query("devices", OWN))
REMOVED = Attempt("patient", delete(DEVICE_PATH), {DEVICE_PATH: OLD_DEVICE})
ADDED = added("{new}")
SHORTEST = added("{sixteen}")
LONGEST = added("{thousand}")
MOVED = Attempt(
    "patient",
    commit(changing(DEVICE_PATH, {"platform": "web", "update_time": NOW})),
    {DEVICE_PATH: OLD_DEVICE},
)
SEEN = MOVED.but(commit(changing(DEVICE_PATH, {"update_time": NOW})))
AT_ONCE = Attempt(
    "patient",
    commit(
        *(changing(f"{NOTE_PATH}{n}", READ) for n in range(4)),
        *(creating(f"{DEVICE_PATH}{n}", {**NEW_DEVICE, "token": f"{{new}}{n}"}) for n in range(4)),
        deleting(DEVICE_PATH),
    ),
    {f"{NOTE_PATH}{n}": UNREAD for n in range(4)} | {DEVICE_PATH: OLD_DEVICE},
)
"""The most that one request asks of the rules here."""

PER_PERSON = {
    "an account": ACCOUNT,
    "a doctor's profile": PROFILE,
    "a patient's record": RECORD,
    "an entry of a history": ENTRY,
    "a query of a history": ENTRIES,
    "a list of a history": ENTRIES_LISTED,
    "an appointment": APPOINTMENT,
    "a query of appointments": APPOINTMENTS,
    "a recording": RECORDING,
    "a query of recordings": RECORDINGS,
    "an image": IMAGE,
    "a query of images": IMAGES,
    "a notification": NOTE,
    "a query of notifications": NOTES,
    "a count of notifications": NOTES_COUNTED,
    "a list of notifications": NOTES_LISTED,
    "marking as read": MARKED,
    "a device": DEVICE,
    "a query of devices": DEVICES,
    "removing a device": REMOVED,
    "adding a device": ADDED,
    "changing a device": MOVED,
    "several writes at once": AT_ONCE,
}
