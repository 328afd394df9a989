"""What services do whose records are uploaded files: recordings, images. Announced, sent, found, deleted.

They differ in what is made of a file, not in how it comes, whose it is and who may.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar

from pydantic import BaseModel

from common import access, audit, crypto, storage, telemetry
from common import upload_policy as policy
from common.appointments import appointments
from common.auth import Principal
from common.clinical import Ground
from common.crypto import Vault
from common.firestore import Batch, Collection, id_by_time, now
from common.idempotency import Once, Replay
from common.models import Role
from common.patients import changeable
from common.preconditions import applied
from common.problems import (
    Forbidden,
    Invalid,
    LegalHold,
    NotFound,
    PatientRecordMissing,
    StatusConflict,
)
from common.storage import Bucket
from common.uploads import LOOK_AFTER, Announcement, Described, Upload, UploadState, UploadTarget

U = TypeVar("U", bound=Upload)
A = TypeVar("A", bound=BaseModel)


class Targets(TypedDict):
    upload: UploadTarget | None
    resumable_upload: UploadTarget | None


@dataclass(frozen=True)
class Intake(Generic[U]):
    """One kind of file that apps send."""

    records: Collection[U]
    slug: str
    """Of its paths, and of its actions in the audit trail: `medical-images`."""
    noun: str
    """For people: `image`."""

    # ------------------------------------------------------------ announcing

    async def take(
        self,
        caller: Principal,
        wish: Announcement,
        content: bytes | None,
        once: Once,
        answer: Callable[[U, Targets], A],
        **more: Any,
    ) -> A:
        """Announce a file, whose record has `more` too; with `content`, store it at once.

        Raises `NotFound`, `Forbidden`, `Invalid`, `PatientArchived`,
        `PatientRecordMissing`, `Unavailable`; `Replay` with the first answer.
        """
        if (first := await once.reserve()) is not None:
            raise Replay(first)
        try:
            return await self._take(caller, wish, content, once, answer, more)
        except BaseException:
            await once.release()
            raise

    async def _take(
        self,
        caller: Principal,
        wish: Announcement,
        content: bytes | None,
        once: Once,
        answer: Callable[[U, Targets], A],
        more: dict[str, Any],
    ) -> A:
        patient_id, ground = await self.whose(caller, wish, "create")
        vault = await crypto.vault_of(patient_id)
        record = self._record(caller, patient_id, wish, vault, more)
        if content is None:
            created = answer(record, await _targets(record))
            await self._put(caller, record, ground, once, created, vault)
            return created
        created = answer(record, Targets(upload=None, resumable_upload=None))
        # Before the record, whoever is told of the file would find nothing that it belongs to.
        await self._put(caller, record, ground, Once(), created, vault)
        await storage.create(Bucket.UPLOADS, record.object_name, content, record.content_type)
        batch = Batch()
        once.remember(batch, 201, created, self.location(record.id), vault)
        if len(batch):
            await batch.commit()
        return created

    def _record(
        self,
        caller: Principal,
        patient_id: str,
        wish: Announcement,
        vault: Vault,
        more: dict[str, Any],
    ) -> U:
        moment = now()
        record = self.records.model(
            create_time=moment,
            update_time=moment,
            patient_id=patient_id,
            author_uid=caller.uid,
            appointment_id=wish.appointment_id,
            content_type=wish.content_type,
            size_bytes=wish.size_bytes,
            sha256=wish.sha256,
            traceparent=telemetry.traceparent(),
            due_time=moment + LOOK_AFTER,
            **more,
        )
        path = self.records.path(id_by_time(moment))
        record.stored_as(path, "")
        record.sealed = {"file_name": vault.seal(path, "file_name", wish.file_name)}
        return record

    async def _put(
        self,
        caller: Principal,
        record: U,
        ground: Ground,
        once: Once,
        answer: BaseModel,
        vault: Vault,
    ) -> None:
        async def put() -> None:
            patient = await changeable(record.patient_id)
            batch = Batch()
            batch.create(record.path, record)
            # Not if the patient is archived meanwhile.
            batch.verify(patient.path, {"is_archived": patient.is_archived}, patient.revision)
            once.remember(batch, 201, answer, self.location(record.id), vault)
            action = f"{self.slug}.create"
            audit.add(batch, audit.event(caller, action, record.path, patient.id, reason=ground))
            await batch.commit()

        await applied(put)

    def location(self, id: str) -> str:
        return f"/v1/{self.slug}/{id}"

    async def whose(self, caller: Principal, wish: Described, verb: str) -> tuple[str, Ground]:
        """Whose file it is, and why the caller may.

        Raises `Invalid`, `NotFound`, `Forbidden`, `PatientArchived`, `PatientRecordMissing`.
        """
        if wish.patient_id is None and caller.role is not Role.PATIENT:
            raise Invalid.field("/patient_id", f"Say whose {self.noun} this is")
        patient_id = wish.patient_id or caller.uid
        action, path = f"{self.slug}.{verb}", f"patients/{patient_id}"
        ground = await access.ground(caller, patient_id, action, path)
        if not policy.can_upload(ground):
            raise await audit.refuse(caller, action, path, patient_id, Forbidden())
        try:
            await changeable(patient_id)
        except NotFound:
            if ground is Ground.SELF:
                raise PatientRecordMissing from None
            raise
        if wish.appointment_id is not None:
            visit = await appointments.get(wish.appointment_id)
            if visit is None or visit.patient_id != patient_id:
                raise Invalid.field("/appointment_id", "This patient has no such appointment")
        return patient_id, ground

    async def renew(self, caller: Principal, id: str) -> tuple[U, Targets]:
        """Raises `NotFound`, `Forbidden`; `StatusConflict` once the file has come."""
        action = f"{self.slug}.renew-upload"
        record, ground = await self.seen(caller, id, action)
        if not policy.can_renew_upload(caller, record):
            raise await audit.refuse(caller, action, record.path, record.patient_id, Forbidden())
        if record.state is not UploadState.PENDING_UPLOAD:
            raise StatusConflict(f"This {self.noun} has come already.")
        targets = await _targets(record)
        moment = now()
        batch = Batch()
        fields = {"due_time": moment + LOOK_AFTER, "update_time": moment}
        batch.update(record.path, fields, record.revision)
        audit.add(batch, audit.event(caller, action, record.path, record.patient_id, reason=ground))
        await batch.commit()
        return record, targets

    # ------------------------------------------------------------ finding

    async def seen(self, caller: Principal, id: str, action: str) -> tuple[U, Ground]:
        """A record that the caller may know of, and why. Raises `NotFound`."""
        record = await self.records.get(id)
        if record is None:
            raise await audit.refuse(caller, action, self.records.path(id), None, NotFound())
        return record, await access.ground(caller, record.patient_id, action, record.path)

    async def asked_for(self, caller: Principal, asked: str | None) -> tuple[str | None, Ground]:
        """Whose files are to be listed, None for everybody's, and why the caller may.

        Raises `Invalid`, `NotFound`.
        """
        patient_id = caller.uid if asked is None and caller.role is Role.PATIENT else asked
        if patient_id is not None:
            action, path = f"{self.slug}.list", f"patients/{patient_id}"
            return patient_id, await access.ground(caller, patient_id, action, path)
        if not policy.can_list_all(caller):
            raise Invalid.field("?patient_id", f"Say whose {self.noun}s you want")
        return None, Ground.ADMIN

    # ------------------------------------------------------------ deleting

    async def delete(
        self, caller: Principal, id: str, forget: Callable[[Batch, U], Awaitable[None]]
    ) -> U:
        """Delete a record, and with it what `forget` adds; the caller deletes the files of what is returned.

        The record goes first, as it was read and only while nothing holds it. A crash in between leaves
        files, which go with the patient's erasure. Raises `NotFound`, `Forbidden`, `LegalHold`,
        `PatientArchived`, `Unavailable`.
        """
        action = f"{self.slug}.delete"
        record, ground = await self.seen(caller, id, action)
        if not policy.can_delete(caller, ground, record):
            raise await audit.refuse(caller, action, record.path, record.patient_id, Forbidden())
        # While storage is away nothing is begun: the record would go, and its files stay.
        await storage.find(Bucket.UPLOADS, record.object_name)

        async def change() -> None:
            patient = await changeable(record.patient_id)
            if patient.has_legal_hold:
                raise LegalHold
            current = await self.records.get(record.id)
            if current is None:
                raise NotFound
            batch = Batch()
            await forget(batch, current)
            batch.verify(patient.path, {"has_legal_hold": False}, patient.revision)
            batch.delete(current.path, revision=current.revision)
            event = audit.event(caller, action, record.path, record.patient_id, reason=ground)
            audit.add(batch, event)
            await batch.commit()

        await applied(change)
        return record


async def _targets(record: Upload) -> Targets:
    return Targets(
        upload=await _target(record), resumable_upload=await _target(record, resumable=True)
    )


async def _target(record: Upload, *, resumable: bool = False) -> UploadTarget:
    return UploadTarget.of(
        await storage.upload_url(
            record.object_name, record.content_type, record.size_bytes, resumable=resumable
        )
    )
