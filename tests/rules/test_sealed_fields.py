"""What a patient's listener can read of a record: status and dates, and of clinical text only ciphertext."""

import httpx

from common.clients import KEYS_DATABASE
from common.clinical import HistoryPrivate, HistoryRecord, Patient, PatientPrivate
from common.models import Record
from tests.rules.firestore import Firestore

_LEGIBLE: dict[type[Record], set[str]] = {
    Patient: {
        *("create_time", "update_time", "created_by", "name", "birth_date", "sex"),
        *("is_archived", "archive_time", "clinical_time", "has_legal_hold", "is_being_erased"),
        *("name_key", "name_facets"),
    },
    HistoryRecord: {
        *("create_time", "update_time", "type", "occurred_on", "author_uid", "editor_uid"),
        *("version", "replaced_revision"),
    },
}
"""Who adds a field outside `sealed` decides here that no listener learns anything clinical from it."""


def test_p05_whatever_a_listener_can_read_was_declared_not_to_be_clinical() -> None:
    for model, legible in _LEGIBLE.items():
        assert set(model.model_fields) - {"sealed"} == legible
    private = {*PatientPrivate.model_fields, *HistoryPrivate.model_fields}
    assert not private & set().union(*_LEGIBLE.values())


async def test_p05_nobody_reads_a_patients_key_whoever_they_are(firestore: Firestore) -> None:
    async with httpx.AsyncClient(base_url=f"http://{firestore.host}") as client:
        for name, person in firestore.people.items():
            root = f"/v1/projects/{firestore.project}/databases"
            key = f"{root}/{KEYS_DATABASE}/documents/patient_keys/{person.uid}"
            refused = await client.get(key, headers=person.headers)
            assert refused.status_code == 403, name
        patient = firestore.people["patient"]
        own = f"{root}/(default)/documents/users/{patient.uid}"
        assert (await client.get(own, headers=patient.headers)).status_code == 200
