"""Field encryption: AES-256-GCM by Tink, with a key per patient that KMS wraps.

A sealed value is bound to the document and the field that it was sealed for;
moved anywhere else it does not open. Patients' keys lie in a database of
their own, which no export of the records includes: once a key is destroyed,
no copy of what it sealed can be read, however old.
docs/decisions/0011-a-key-per-patient.md says more.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Set
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar

import tink
from pydantic import BaseModel
from tink import aead, secret_key_access
from tink.proto import tink_pb2

from common.clients import KEYS_DATABASE, KMS_DEADLINE, BoundedKms
from common.firestore import Batch, Collection, now
from common.models import Record
from common.problems import AlreadyExists, NotFound, Unavailable
from common.recent import Recent
from common.settings import settings

M = TypeVar("M", bound=BaseModel)

VAULT_MAX_AGE = 300.0
"""Seconds for which an instance keeps a key in memory."""


class PatientKey(Record):
    """`patient_keys/{patient_id}`, in the database `keys`."""

    keyset: bytes | None
    """Tink's, encrypted by KMS and bound to the patient's id; None once destroyed."""
    kms_key: str
    destroy_time: datetime | None = None


patient_keys = Collection(PatientKey, "patient_keys", KEYS_DATABASE)


class NotOpened(Exception):
    """A sealed value or keyset was altered, or moved from where it belongs; or its key is another.

    Never in the course of things: it ends as a logged 500.
    """


class Vault:
    """One patient's unwrapped key."""

    def __init__(self, patient_id: str, keyset: tink.KeysetHandle) -> None:
        self.patient_id = patient_id
        self._aead: aead.Aead = keyset.primitive(aead.Aead)

    def seal(self, path: str, field: str, value: Any) -> bytes:
        """A JSON value, for this field of the document at this path only."""
        plain = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        return bytes(self._aead.encrypt(plain, _place(path, field)))

    def open(self, path: str, field: str, sealed: bytes) -> Any:
        """Raises `NotOpened`."""
        try:
            return json.loads(self._aead.decrypt(sealed, _place(path, field)))
        except tink.TinkError:
            raise NotOpened(f"{field} of {path}") from None

    def seal_all(
        self, path: str, private: BaseModel, only: Set[str] | None = None
    ) -> dict[str, bytes]:
        """Each field of `private`, or of `only`, sealed by its name."""
        values = private.model_dump(mode="json", include=None if only is None else set(only))
        return {name: self.seal(path, name, value) for name, value in values.items()}

    def open_all(self, path: str, sealed: Mapping[str, bytes], model: type[M]) -> M:
        """The private part of a document. Raises `NotOpened`."""
        values = {name: self.open(path, name, each) for name, each in sealed.items()}
        return model.model_validate(values, extra="ignore")


def _place(path: str, field: str) -> bytes:
    return f"{path}#{field}".encode()


async def vault_of(patient_id: str) -> Vault:
    """The patient's key; one read and one call of KMS, at most every five minutes per instance.

    Raises `NotFound` when it was destroyed or never was, and `Unavailable`.
    """
    vault = await _vaults.get(patient_id)
    if vault is None:
        raise NotFound
    return vault


async def new_vault(patient_id: str) -> Vault:
    """Make the patient's key, before their first document; of two who race, both get the same.

    Raises `NotFound` for a patient who was erased, and `Unavailable`.
    """
    keyset = _new_keyset()
    moment = now()
    key = PatientKey(
        create_time=moment,
        update_time=moment,
        keyset=await _wrapped(patient_id, keyset),
        kms_key=settings().kms_key,
    )
    batch = Batch(KEYS_DATABASE)
    batch.create(patient_keys.path(patient_id), key)
    try:
        await batch.commit()
    except AlreadyExists:
        _vaults.forget(patient_id)
        return await vault_of(patient_id)
    return Vault(patient_id, keyset)


async def destroy(patient_id: str) -> None:
    """Overwrite the patient's key; on every instance it is gone within five minutes. Again is no harm."""
    moment = now()
    batch = Batch(KEYS_DATABASE)
    gone = {"keyset": None, "destroy_time": moment, "update_time": moment}
    batch.update(patient_keys.path(patient_id), gone)
    try:
        await batch.commit()
    except NotFound:
        pass  # there never was one
    finally:
        _vaults.forget(patient_id)


class DataKey(Enum):
    """What becomes of a patient's data keys when their keyset is wrapped anew."""

    KEEP = "keep"
    ADD = "add"
    """A new one that opens, but does not seal yet: every instance must know it before any uses it."""
    USE = "use"
    """The newest one seals from now on; the older ones still open what they sealed."""


async def rotate(key: PatientKey, data_key: DataKey = DataKey.KEEP) -> None:
    """Wrap a patient's keyset under the KMS key's newest version.

    Raises `RecordChanged` when it was changed meanwhile.
    """
    if key.keyset is None:
        return
    keyset = await _unwrapped(key.id, key.keyset)
    if data_key is not DataKey.KEEP:
        keyset = _with_new_key(keyset) if data_key is DataKey.ADD else _with_newest_used(keyset)
    fields = {
        "keyset": await _wrapped(key.id, keyset),
        "kms_key": settings().kms_key,
        "update_time": now(),
    }
    batch = Batch(KEYS_DATABASE)
    batch.update(patient_keys.path(key.id), fields, key.revision)
    await batch.commit()


async def is_reachable() -> bool:
    """Whether KMS answers, asked by wrapping nothing."""
    try:
        await _asking_kms(lambda: _kms_aead().encrypt(b"", b"health"))
    except (Unavailable, NotOpened):
        return False
    return True


async def _read_vault(patient_id: str) -> Vault | None:
    key = await patient_keys.get(patient_id)
    if key is None or key.keyset is None:
        return None
    return Vault(patient_id, await _unwrapped(patient_id, key.keyset))


_vaults: Recent[Vault | None] = Recent(
    _read_vault, max_age=VAULT_MAX_AGE, keep=lambda vault: vault is not None, most=2_000
)

# ---------------------------------------------------------------- keysets


@lru_cache
def _registered() -> None:
    aead.register()


def _new_keyset() -> tink.KeysetHandle:
    _registered()
    return tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)


def _with_new_key(keyset: tink.KeysetHandle) -> tink.KeysetHandle:
    """The keyset and one new key that is not used yet; as it is if it has such a key already."""
    whole = _message(keyset)
    if whole.key[-1].key_id != whole.primary_key_id:
        return keyset
    addition = _message(_new_keyset())
    while addition.primary_key_id in {key.key_id for key in whole.key}:
        addition = _message(_new_keyset())
    whole.key.extend(addition.key)
    return tink.proto_keyset_format.parse(whole.SerializeToString(), secret_key_access.TOKEN)


def _with_newest_used(keyset: tink.KeysetHandle) -> tink.KeysetHandle:
    whole = _message(keyset)
    whole.primary_key_id = whole.key[-1].key_id
    return tink.proto_keyset_format.parse(whole.SerializeToString(), secret_key_access.TOKEN)


def _message(keyset: tink.KeysetHandle) -> tink_pb2.Keyset:
    raw = tink.proto_keyset_format.serialize(keyset, secret_key_access.TOKEN)
    return tink_pb2.Keyset.FromString(raw)


# ---------------------------------------------------------------- KMS


@lru_cache
def _kms_aead() -> aead.Aead:
    from tink.integration import gcpkms

    uri = settings().kms_key
    return gcpkms.new_client(kms_v1_client=BoundedKms()).get_aead(uri)


async def _wrapped(patient_id: str, keyset: tink.KeysetHandle) -> bytes:
    serialize = tink.proto_keyset_format.serialize_encrypted
    return bytes(await _asking_kms(lambda: serialize(keyset, _kms_aead(), patient_id.encode())))


async def _unwrapped(patient_id: str, wrapped: bytes) -> tink.KeysetHandle:
    _registered()
    parse = tink.proto_keyset_format.parse_encrypted
    return await _asking_kms(lambda: parse(wrapped, _kms_aead(), patient_id.encode()))


async def _asking_kms(call: Callable[[], Any]) -> Any:
    """Tink's KMS calls block, so they run in a thread. Raises `Unavailable`, `NotOpened`."""
    try:
        async with asyncio.timeout(KMS_DEADLINE + 1):
            return await asyncio.to_thread(call)
    except TimeoutError:
        raise Unavailable("The key service does not answer. Nothing was changed.") from None
    except tink.TinkError as error:
        raise NotOpened("KMS refused a keyset") from error
