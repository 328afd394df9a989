"""Demo data of the assistant: the knowledge base that comes along, and patients who let it use their record."""

from collections.abc import Sequence

from common.assistant import CONSENT, Consent, consents
from common.firestore import Batch, now
from common.models import User
from local.bootstrap import ROOT
from ops.load_knowledge import load_knowledge

_KNOWLEDGE = ROOT / "ops" / "knowledge"


async def store(patients: Sequence[User]) -> int:
    """Returns how many entries the knowledge base has."""
    report = await load_knowledge(_KNOWLEDGE)
    moment = now()
    batch = Batch()
    for patient in patients[::2]:
        consent = Consent(
            create_time=moment, update_time=moment, is_given=True, actor_uid=patient.id
        )
        batch.put(consents.path(patient.id, CONSENT), consent)
    await batch.commit()
    return report.stored + report.unchanged
