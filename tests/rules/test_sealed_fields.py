"""What a patient's listener can read of a record: status and dates, and of clinical text only ciphertext."""

from pydantic import BaseModel

from common.clients import KEYS_DATABASE
from common.clinical import HistoryPrivate, HistoryRecord, Patient, PatientPrivate
from common.images import FindingsPrivate, MedicalImage, StudyPrivate
from common.models import Record
from common.scheduling import Appointment, AppointmentPrivate
from common.transcripts import NotePrivate, SaidPrivate, Transcription
from tests.rules.allowed import ACCOUNT
from tests.rules.attempts import get
from tests.rules.firestore import RULES, Firestore
from tests.rules.mutants import MUTANTS
from tests.rules.people import copied
from tests.rules.table import PAIRS

_LEGIBLE: dict[type[Record], set[str]] = {
    Patient: {
        *("create_time", "update_time", "created_by", "name", "birth_date", "sex"),
        *("is_archived", "archive_time", "clinical_time", "has_legal_hold", "is_being_erased"),
        *("name_key", "name_facets", "changed_times"),
    },
    HistoryRecord: {
        *("create_time", "update_time", "type", "occurred_on", "author_uid", "editor_uid"),
        *("version", "replaced_revision"),
    },
    Appointment: {
        *("create_time", "update_time", "doctor_id", "patient_id", "doctor_name", "patient_name"),
        *("place", "type", "status", "start", "end", "time_zone", "local_start", "zone_version"),
        *("slots", "version", "booked_by", "status_time", "cancelled_by"),
    },
    Transcription: {
        *("create_time", "update_time", "patient_id", "author_uid", "appointment_id"),
        *("state", "reason", "progress", "attempts", "content_type", "size_bytes", "sha256"),
        *("generation", "claimed_by", "due_time", "language", "is_streamed", "is_truncated"),
        *("duration_seconds", "speaker_count", "segment_count", "operation", "operation_time"),
        *("note_state", "note_version", "traceparent"),
    },
    MedicalImage: {
        *("create_time", "update_time", "patient_id", "author_uid", "appointment_id"),
        *("state", "reason", "progress", "attempts", "content_type", "size_bytes", "sha256"),
        *("generation", "claimed_by", "due_time", "traceparent", "modality", "study_id"),
        *("series_id", "frame_count", "renditions", "deidentification", "duplicate_of"),
        "instance_key",
    },
}
"""Who adds a field outside `sealed` decides here that no listener learns anything clinical from it."""

_PRIVATE: dict[type[Record], tuple[type[BaseModel], ...]] = {
    Patient: (PatientPrivate,),
    HistoryRecord: (HistoryPrivate,),
    Appointment: (AppointmentPrivate,),
    Transcription: (SaidPrivate, NotePrivate),
    MedicalImage: (FindingsPrivate, StudyPrivate),
}

_KEY = get("patient_keys/{owner}")
_PAIRS_OF_KEYS = [pair for pair in PAIRS if pair.name.endswith(" no patient_keys")]


def test_p05_whatever_a_listener_can_read_was_declared_not_to_be_clinical() -> None:
    for model, legible in _LEGIBLE.items():
        assert set(model.model_fields) - {"sealed"} == legible
        private = {name for each in _PRIVATE[model] for name in each.model_fields}
        assert not private & legible


async def test_p05_nobody_reads_a_patients_key_whoever_they_are(firestore: Firestore) -> None:
    host, people, project = firestore.host, firestore.people, firestore.project
    async with Firestore(host, people, project, KEYS_DATABASE) as keys:
        asked = [ACCOUNT.but(_KEY).as_(name) for name in people]
        asked += [ACCOUNT.but(_KEY).by(name) for name in ("nobody", "doctor", "admin")]
        assert not [each for each in await keys.outcomes(asked) if each.is_allowed]
    assert (await firestore.outcome(ACCOUNT)).is_allowed


async def test_p05_keys_stay_closed_where_all_else_is_as_in_the_default_database(
    firestore: Firestore,
) -> None:
    """Accounts are in this `keys` too, so it is not for want of one that a key is refused."""
    async with await copied(firestore, "demo-keys", RULES, KEYS_DATABASE) as keys:
        for pair in _PAIRS_OF_KEYS:
            success, refusal = await keys.outcomes([pair.beside, pair.refused])
            assert success.is_allowed, (pair.name, success.reason)
            assert not refusal.is_allowed, pair.name


async def test_rules_that_opened_the_keys_would_be_noticed(firestore: Firestore) -> None:
    """The rules do reach that database: it is they that refuse."""
    (opened,) = (each.of(RULES) for each in MUTANTS if each.name == "patients read their keys")
    async with await copied(firestore, "demo-keys-open", opened, KEYS_DATABASE) as keys:
        assert (await keys.outcome(ACCOUNT.but(_KEY))).is_allowed
