"""The record as FHIR R4 resources (https://hl7.org/fhir/R4), as JSON-like dicts.

Every resource has the full URL `urn:uuid:…`, made from where its record lies,
and references use it: so the same record has the same URL in each export.
Earlier versions of a record have its URL and another `meta.versionId`. What a
profile lists has no id of its own: there the URL is that of its place in the list.
"""

import base64
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson

from common.assistant import Consent, Exchange, ExchangePrivate
from common.clinical import (
    Address,
    Allergy,
    Code,
    CodeSystem,
    Condition,
    Contacts,
    HistoryPrivate,
    HistoryRecord,
    HistoryType,
    Insurance,
    Measurement,
    Medication,
    Patient,
    PatientPrivate,
)
from common.images import MedicalImage, Study, StudyPrivate
from common.imaging import ImageMetadata
from common.models import Doctor
from common.scheduling import Appointment, AppointmentPrivate, WaitlistEntry
from common.transcripts import Transcription

MEDIA_TYPE = "application/fhir+json"

Resource = dict[str, Any]
Pictured = tuple[MedicalImage, ImageMetadata]

_SYSTEMS = {
    CodeSystem.ICD_10: "http://hl7.org/fhir/sid/icd-10",
    CodeSystem.SNOMED: "http://snomed.info/sct",
    CodeSystem.LOINC: "http://loinc.org",
    CodeSystem.RXNORM: "http://www.nlm.nih.gov/research/umls/rxnorm",
}
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_BLOOD_GROUP = "882-1"
"""LOINC: ABO and Rh group [Type] in Blood."""


async def bundle(resources: AsyncIterator[Resource]) -> AsyncIterator[bytes]:
    """A Bundle of type `collection`, some kilobytes at a time.

    If a resource can't be read the stream breaks off, so that half an export
    is never taken for a whole one.
    """
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    head = {"resourceType": "Bundle", "type": "collection", "timestamp": moment}
    text = orjson.dumps(head)[:-1] + b',"entry":['
    separator = b""
    async for resource in resources:
        entry = {"fullUrl": url(resource["resourceType"], resource["id"]), "resource": resource}
        text += separator + orjson.dumps(entry, default=_number)
        separator = b",\n"
        if len(text) > 32_768:
            yield text
            text = b""
    yield text + b"]}"


def _number(value: Any) -> orjson.Fragment:
    """A decimal as a JSON number with the digits that it has: 7.00 is more precise than 7."""
    if not isinstance(value, Decimal):
        raise TypeError(type(value))
    return orjson.Fragment(format(value, "f"))


def url(kind: str, id: str) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE_URL, f'urn:healthhub:{kind}/{_id(id)}')}"


_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def _id(id: str) -> str:
    """Our id if FHIR takes it (an account's may be too long), else one made from it."""
    return id if _ID.fullmatch(id) else str(uuid5(NAMESPACE_URL, f"urn:healthhub:{id}"))


def _to(kind: str, id: str) -> Resource:
    return {"reference": url(kind, id), "type": kind}


# ---------------------------------------------------------------- the profile


def of_patient(patient: Patient, private: PatientPrivate) -> Iterator[Resource]:
    """Patient, and what the profile lists: RelatedPerson, Coverage, AllergyIntolerance and so on."""
    yield _filled(
        resourceType="Patient",
        id=patient.id,
        meta=_meta(None, patient.update_time),
        active=not patient.is_archived,
        identifier=private.national_id
        and [{"use": "official", "type": {"text": "National id"}, "value": private.national_id}],
        name=[{"use": "official", "text": patient.name}],
        gender=patient.sex.value,
        birthDate=patient.birth_date.isoformat(),
        telecom=_telecom(private.contacts),
        address=private.address and [_address(private.address)],
    )
    subject = _to("Patient", patient.id)
    for number, contact in enumerate(private.emergency_contacts, 1):
        yield _filled(
            resourceType="RelatedPerson",
            id=f"{patient.id}-contact-{number}",
            patient=subject,
            relationship=[{"text": contact.relationship}],
            name=[{"text": contact.name}],
            telecom=[{"system": "phone", "value": contact.phone}],
        )
    for number, insurance in enumerate(private.insurance, 1):
        yield _coverage(f"{patient.id}-insurance-{number}", subject, insurance)
    for number, allergy in enumerate(private.allergies, 1):
        yield _allergy(f"{patient.id}-allergy-{number}", subject, allergy)
    for number, condition in enumerate(private.conditions, 1):
        yield _condition(f"{patient.id}-condition-{number}", subject, condition)
    for number, medication in enumerate(private.medications, 1):
        yield _medication(f"{patient.id}-medication-{number}", subject, medication)
    if private.blood_type is not None:
        yield _filled(
            resourceType="Observation",
            id=f"{patient.id}-blood-type",
            status="final",
            category=_category("laboratory"),
            code={"coding": [{"system": _SYSTEMS[CodeSystem.LOINC], "code": _BLOOD_GROUP}]},
            subject=subject,
            valueCodeableConcept={"text": private.blood_type.value},
        )


def _coverage(id: str, subject: Resource, insurance: Insurance) -> Resource:
    classes = (("plan", insurance.plan), ("group", insurance.group))
    return _filled(
        resourceType="Coverage",
        id=id,
        status="active",
        beneficiary=subject,
        subscriberId=insurance.member_id,
        payor=[{"display": insurance.provider}],
        period=_period(insurance.valid_from, insurance.valid_to),
        **{
            "class": [
                {"type": _coded(f"{_TERMINOLOGY}coverage-class", kind), "value": value}
                for kind, value in classes
                if value
            ]
        },
    )


def _allergy(id: str, subject: Resource, allergy: Allergy) -> Resource:
    reaction: Resource = {"manifestation": [{"text": allergy.reaction or "Not recorded"}]}
    if allergy.severity:
        reaction["severity"] = allergy.severity.value
    return _filled(
        resourceType="AllergyIntolerance",
        id=id,
        clinicalStatus=_coded(f"{_TERMINOLOGY}allergyintolerance-clinical", "active"),
        code=_concept(allergy.code, allergy.substance),
        patient=subject,
        reaction=[reaction] if allergy.reaction or allergy.severity else None,
    )


def _condition(id: str, subject: Resource, condition: Condition) -> Resource:
    return _filled(
        resourceType="Condition",
        id=id,
        clinicalStatus=_coded(f"{_TERMINOLOGY}condition-clinical", condition.status.value),
        code=_concept(condition.code, condition.name),
        subject=subject,
        onsetDateTime=condition.onset_on and condition.onset_on.isoformat(),
    )


def _medication(id: str, subject: Resource, medication: Medication) -> Resource:
    ended = medication.ended_on is not None and medication.ended_on < datetime.now(UTC).date()
    return _filled(
        resourceType="MedicationStatement",
        id=id,
        status="completed" if ended else "active",
        medicationCodeableConcept=_concept(medication.code, medication.name),
        subject=subject,
        effectivePeriod=_period(medication.started_on, medication.ended_on),
        dosage=medication.dosage and [{"text": medication.dosage}],
    )


# ---------------------------------------------------------------- the history


def of_record(
    patient_id: str, record_id: str, record: HistoryRecord, said: HistoryPrivate
) -> Iterator[Resource]:
    """One version of a record as the resource of its type, and a DocumentReference per attachment."""
    subject, day = _to("Patient", patient_id), record.occurred_on.isoformat()
    author, editor = _to("Practitioner", record.author_uid), _to("Practitioner", record.editor_uid)
    writers = [author] if record.author_uid == record.editor_uid else [author, editor]
    concept = _concept(said.code, said.title)
    reason = f"Amended: {said.amendment_reason}" if said.amendment_reason else ""
    words = "\n\n".join(part for part in (said.description, reason) if part)
    note = [{"authorReference": editor, "text": words}] if words else None
    common: Resource = {"id": record_id, "meta": _meta(record.version, record.update_time)}
    rest: Resource
    match record.type:
        case HistoryType.CONDITION:
            rest = {
                "clinicalStatus": _coded(f"{_TERMINOLOGY}condition-clinical", "active"),
                "code": concept,
                "subject": subject,
                "onsetDateTime": day,
                "recorder": author,
                "note": note,
            }
            kind = "Condition"
        case HistoryType.ALLERGY:
            rest = {
                "clinicalStatus": _coded(f"{_TERMINOLOGY}allergyintolerance-clinical", "active"),
                "code": concept,
                "patient": subject,
                "onsetDateTime": day,
                "recorder": author,
                "note": note,
            }
            kind = "AllergyIntolerance"
        case HistoryType.MEDICATION:
            rest = {
                "status": "unknown",  # the record says that it was given, not that it still is
                "medicationCodeableConcept": concept,
                "subject": subject,
                "effectiveDateTime": day,
                "informationSource": author,
                "note": note,
            }
            kind = "MedicationStatement"
        case HistoryType.PROCEDURE:
            rest = {
                "status": "completed",
                "code": concept,
                "subject": subject,
                "performedDateTime": day,
                "recorder": author,
                "note": note,
            }
            kind = "Procedure"
        case HistoryType.IMMUNIZATION:
            rest = {
                "status": "completed",
                "vaccineCode": concept,
                "patient": subject,
                "occurrenceDateTime": day,
                "performer": [{"actor": author}],
                "note": note,
            }
            kind = "Immunization"
        case HistoryType.OBSERVATION | HistoryType.LAB_RESULT:
            category = "laboratory" if record.type is HistoryType.LAB_RESULT else "exam"
            rest = {
                "status": "final" if record.version == 1 else "amended",
                "category": _category(category),
                "code": concept,
                "subject": subject,
                "effectiveDateTime": day,
                "performer": writers,
                "component": [_component(measured) for measured in said.values],
                "note": note,
            }
            kind = "Observation"
        case HistoryType.NOTE:
            text = base64.b64encode(words.encode()).decode()
            rest = {
                "status": "current",
                "type": concept,
                "subject": subject,
                "date": _instant(record.create_time),
                "author": writers,
                "description": said.title,
                "content": [
                    {"attachment": {"contentType": "text/plain; charset=utf-8", "data": text}}
                ],
                "context": {"period": _period(record.occurred_on, record.occurred_on)},
            }
            kind = "DocumentReference"
    yield _filled(resourceType=kind, **common, **rest)
    for number, attachment in enumerate(said.attachments, 1):
        yield _filled(
            resourceType="DocumentReference",
            id=f"{record_id}-attachment-{number}",
            meta=common["meta"],
            status="current",
            description=attachment.title,
            subject=subject,
            content=[{"attachment": {"url": f"urn:healthhub:{attachment.kind}:{attachment.id}"}}],
            context={"related": [_to(kind, record_id)]},
        )


def _component(measured: Measurement) -> Resource:
    component: Resource = {"code": _concept(measured.code, measured.name)}
    if measured.value is None:
        return {**component, "valueString": measured.text}
    unit = {"unit": measured.unit, "system": "http://unitsofmeasure.org", "code": measured.unit}
    component["valueQuantity"] = {"value": measured.value, **unit}
    bounds = {"low": measured.low, "high": measured.high}
    given = {name: {"value": value, **unit} for name, value in bounds.items() if value is not None}
    return {**component, "referenceRange": [given]} if given else component


# ---------------------------------------------------------------- doctors and others who wrote


def of_appointment(visit: Appointment, why: AppointmentPrivate) -> Resource:
    """Appointment. Without the doctor's private notes: they are no part of the patient's record."""
    return _filled(
        resourceType="Appointment",
        id=visit.id,
        meta=_meta(None, visit.update_time),
        status=visit.status.value,
        appointmentType={"text": visit.type.value},
        reasonCode=[{"text": why.reason}] if why.reason else None,
        cancelationReason={"text": why.cancellation_reason} if why.cancellation_reason else None,
        comment=why.notes,
        created=_instant(visit.create_time),
        start=_instant(visit.start),
        end=_instant(visit.end),
        minutesDuration=int((visit.end - visit.start).total_seconds()) // 60,
        participant=[
            {"actor": _to("Patient", visit.patient_id), "status": "accepted"},
            {"actor": _to("Practitioner", visit.doctor_id), "status": "accepted"},
        ],
    )


def of_wait(entry: WaitlistEntry) -> Resource:
    """A place on the waitlist: an Appointment that has no time yet."""
    participants = [{"actor": _to("Patient", entry.patient_id), "status": "accepted"}]
    if entry.doctor_id:
        doctor = {"actor": _to("Practitioner", entry.doctor_id), "status": "needs-action"}
        participants.append(doctor)
    return _filled(
        resourceType="Appointment",
        id=entry.id,
        meta=_meta(None, entry.update_time),
        status="waitlist",
        appointmentType={"text": entry.type.value},
        specialty=[{"text": entry.specialty.display}] if entry.specialty else None,
        created=_instant(entry.create_time),
        requestedPeriod=[{"start": _instant(entry.from_time), "end": _instant(entry.to_time)}],
        participant=participants,
    )


def of_transcription(recording: Transcription, said: Sequence[str]) -> Resource:
    """DocumentReference: what was said, as text. The notes made of it are in the history once signed."""
    text = "\n".join(said)
    attachment = _filled(
        contentType="text/plain; charset=utf-8",
        language=recording.language,
        data=base64.b64encode(text.encode()).decode(),
        title="Transcript",
        creation=_instant(recording.create_time),
    )
    return _filled(
        resourceType="DocumentReference",
        id=recording.id,
        meta=_meta(None, recording.update_time),
        status="current",
        docStatus="preliminary",
        type=_coded("http://loinc.org", "34109-9") | {"text": "Consultation transcript"},
        subject=_to("Patient", recording.patient_id),
        date=_instant(recording.create_time),
        author=[_to("Practitioner", recording.author_uid)]
        if recording.author_uid != recording.patient_id
        else [_to("Patient", recording.patient_id)],
        content=[{"attachment": attachment}],
        context=_filled(period={"start": _instant(recording.create_time)}),
    )


def of_exchange(patient_id: str, exchange: Exchange, private: ExchangePrivate) -> Resource:
    """Communication: what the patient asked the assistant, and what it answered with which sources."""
    sources = [
        f"[{each.number}] {each.source.title}: {each.source.url}" for each in private.citations
    ]
    return _filled(
        resourceType="Communication",
        id=exchange.id,
        meta=_meta(None, exchange.update_time),
        status="completed",
        category=[{"text": "Conversation with the assistant"}],
        subject=_to("Patient", patient_id),
        sender=_to("Patient", patient_id),
        sent=_instant(exchange.create_time),
        payload=[{"contentString": text} for text in (private.question, private.answer, *sources)],
    )


def of_consent(patient_id: str, consent: Consent) -> Resource:
    """Consent: whether language models may see the record without what identifies the patient."""
    return _filled(
        resourceType="Consent",
        id=f"{patient_id}-assistant",
        meta=_meta(None, consent.update_time),
        status="active",
        scope=_coded("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        category=[_coded("http://loinc.org", "59284-0")],
        patient=_to("Patient", patient_id),
        dateTime=_instant(consent.update_time),
        policyRule={
            "text": "A language model may see the record without what identifies the patient"
        },
        provision={"type": "permit" if consent.is_given else "deny"},
    )


def of_study(
    patient_id: str, study: Study, private: StudyPrivate, images: Sequence[Pictured]
) -> Resource:
    """ImagingStudy, with its series and instances; the files are had through the API."""
    series: dict[str, list[Pictured]] = {}
    for image, metadata in images:
        series.setdefault(image.series_id or "", []).append((image, metadata))
    return _filled(
        resourceType="ImagingStudy",
        id=study.id,
        meta=_meta(None, study.update_time),
        identifier=[_uid(private.uid)] if private.uid else None,
        status="available",
        modality=[_modality(each) for each in study.modalities],
        subject=_to("Patient", patient_id),
        started=private.study_date.isoformat() if private.study_date else None,
        numberOfSeries=len(series),
        numberOfInstances=len(images),
        description=private.description,
        series=[_series(each) for each in series.values()],
    )


def _series(images: Sequence[Pictured]) -> Resource:
    first = images[0][1]
    return _filled(
        uid=first.series_instance_uid or "0",
        number=_unsigned(first.series_number),
        modality=_modality(first.modality or "OT"),
        description=first.series_description,
        numberOfInstances=len(images),
        bodySite={"display": first.body_site} if first.body_site else None,
        instance=[
            _filled(
                uid=metadata.sop_instance_uid or image.id,
                sopClass={
                    "system": "urn:ietf:rfc:3986",
                    "code": f"urn:oid:{metadata.sop_class_uid or '0'}",
                },
                number=_unsigned(metadata.instance_number),
                title=metadata.sop_class,
            )
            for image, metadata in images
        ],
    )


def _uid(uid: str) -> Resource:
    return {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}


def _modality(code: str) -> Resource:
    return {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": code}


def _unsigned(number: int | None) -> int | None:
    return number if number is not None and number >= 0 else None


def of_image(image: MedicalImage, metadata: ImageMetadata, file_name: str | None) -> Resource:
    """DocumentReference of an image that belongs to no study: a photograph, or a scan of paper."""
    taken = metadata.acquisition_time
    attachment = _filled(
        contentType=image.content_type,
        url=f"/v1/medical-images/{image.id}/content",
        size=image.size_bytes,
        title=file_name,
        creation=_instant(image.create_time),
    )
    return _filled(
        resourceType="DocumentReference",
        id=image.id,
        meta=_meta(None, image.update_time),
        status="current",
        type=_coded("http://loinc.org", "72170-4") | {"text": "Photographic image"},
        subject=_to("Patient", image.patient_id),
        date=_instant(image.create_time),
        author=[_to("Practitioner", image.author_uid)]
        if image.author_uid != image.patient_id
        else [_to("Patient", image.patient_id)],
        content=[{"attachment": attachment}],
        context=_filled(period={"start": _instant(taken)}) if taken and taken.tzinfo else None,
    )


def of_doctor(doctor: Doctor) -> Resource:
    return _filled(
        resourceType="Practitioner",
        id=doctor.id,
        name=[{"text": doctor.name}],
        qualification=[
            _filled(
                identifier=qualification.license_number
                and [{"value": qualification.license_number}],
                code={"text": qualification.degree},
                issuer={"display": qualification.institution},
            )
            for qualification in doctor.qualifications
        ],
        communication=[
            {"coding": [{"system": "urn:ietf:bcp:47", "code": language}]}
            for language in doctor.languages
        ],
    )


def of_author(uid: str, name: str | None) -> Resource:
    """Somebody without a doctor's profile who wrote in the record: an administrator, or who is gone."""
    return _filled(resourceType="Practitioner", id=uid, name=[{"text": name or "Unknown"}])


# ---------------------------------------------------------------- datatypes


def _filled(**fields: Any) -> Resource:
    """Without what is empty: FHIR knows no null and no empty list."""
    if "resourceType" in fields:
        fields["id"] = _id(fields["id"])
    return {name: value for name, value in fields.items() if value not in (None, [], {}, "")}


def _meta(version: int | None, moment: datetime) -> Resource:
    return _filled(
        versionId=None if version is None else str(version), lastUpdated=_instant(moment)
    )


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _concept(code: Code | None, text: str) -> Resource:
    coding = [{"system": _SYSTEMS[code.system], "code": code.value}] if code else None
    return _filled(coding=coding, text=text)


def _coded(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def _category(code: str) -> list[Resource]:
    return [_coded(f"{_TERMINOLOGY}observation-category", code)]


def _period(start: Any, end: Any) -> Mapping[str, str] | None:
    period = _filled(start=start and start.isoformat(), end=end and end.isoformat())
    return period or None


def _telecom(contacts: Contacts) -> list[Resource]:
    given = (("phone", contacts.phone), ("email", contacts.email))
    return [{"system": system, "value": value} for system, value in given if value]


def _address(address: Address) -> Resource:
    return _filled(
        line=address.lines,
        city=address.city,
        state=address.state,
        postalCode=address.postal_code,
        country=address.country,
    )
