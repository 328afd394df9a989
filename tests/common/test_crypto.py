"""Sealed fields: what opens them, where, and until when; KMS by its stand-in, over the wire."""

import asyncio
import base64
import json
import secrets
import stat
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud import kms_v1
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from common import clients, crypto
from common.clinical import Code, HistoryPrivate, PatientPrivate
from common.crypto import DataKey, NotOpened, Vault, new_vault, patient_keys, vault_of
from common.firestore import Batch
from common.problems import NotFound, RecordChanged, Unavailable
from local import kms
from local.platform import KMS_KEY, Platform
from local.ports import free_ports
from ops.rotate_keys import rotate_keys
from tests.client import A_PATIENT


def an_id() -> str:
    return f"key{secrets.token_hex(8)}"


def forget_keys() -> None:
    """As another instance, which has no key in memory."""
    crypto._vaults._known.clear()


@pytest.fixture
async def vault(platform: Platform) -> Vault:
    return await new_vault(an_id())


# ---------------------------------------------------------------- sealing


def test_what_is_sealed_opens_as_it_was(vault: Vault) -> None:
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
            ),
        )
    )
    def check(value: Any) -> None:
        assert vault.open("a/b", "f", vault.seal("a/b", "f", value)) == value

    check()


async def test_p19_a_value_moved_altered_or_of_another_patient_does_not_open(
    platform: Platform, figure: Any
) -> None:
    one, other = await new_vault(an_id()), await new_vault(an_id())
    path, field = f"patients/{one.patient_id}", "contacts"
    sealed = one.seal(path, field, {"phone": "+34612345678"})
    attempts: list[tuple[Vault, str, str, bytes]] = [
        (one, "patients/another", field, sealed),
        (one, f"{path}/history/1", field, sealed),
        (one, path, "insurance", sealed),
        (one, f"{path}#", "contacts", sealed),
        (one, path + "#contacts", "", sealed),
        (other, path, field, sealed),
        (one, path, field, b""),
        (one, path, field, sealed[:-1]),
        (one, path, field, sealed + b"\0"),
        *(
            (one, path, field, sealed[:n] + bytes([sealed[n] ^ 1]) + sealed[n + 1 :])
            for n in range(len(sealed))
        ),
    ]
    opened = [attempt[1:3] for attempt in attempts if opens(*attempt)]
    figure(f"decrypted of {len(attempts)} moved or altered", len(opened))
    assert opened == []
    assert opens(one, path, field, sealed)


def opens(vault: Vault, path: str, field: str, sealed: bytes) -> bool:
    try:
        vault.open(path, field, sealed)
    except NotOpened:
        return False
    return True


def test_no_two_sealings_of_one_value_are_alike(vault: Vault) -> None:
    assert vault.seal("a/b", "f", "x") != vault.seal("a/b", "f", "x")


def test_each_field_of_a_model_is_sealed_by_itself(vault: Vault) -> None:
    private = PatientPrivate.model_validate(
        {name: A_PATIENT[name] for name in PatientPrivate.model_fields if name in A_PATIENT}
    )
    sealed = vault.seal_all("patients/a", private)
    assert set(sealed) == set(PatientPrivate.model_fields)
    assert vault.open_all("patients/a", sealed, PatientPrivate) == private
    some = vault.seal_all("patients/a", private, {"insurance"})
    assert set(some) == {"insurance"}
    assert vault.seal_all("patients/a", private, set()) == {}


def test_fields_of_a_newer_version_are_ignored_at_every_depth(vault: Vault) -> None:
    class Newer(BaseModel):
        title: str = "A"
        description: str = "B"
        code: dict[str, str] = {"system": "icd-10", "value": "E11.9", "edition": "2031"}
        mood: str = "new"

    sealed = vault.seal_all("a/b", Newer())
    found = vault.open_all("a/b", sealed, HistoryPrivate)
    assert found.code == Code.model_validate({"system": "icd-10", "value": "E11.9"})


# ---------------------------------------------------------------- keys


async def test_another_instance_opens_what_one_sealed(vault: Vault) -> None:
    sealed = vault.seal("a/b", "f", "x")
    forget_keys()
    assert (await vault_of(vault.patient_id)).open("a/b", "f", sealed) == "x"


async def test_of_many_who_make_a_patients_key_at_once_all_get_the_same(
    platform: Platform,
) -> None:
    id = an_id()
    vaults = await asyncio.gather(*(new_vault(id) for _ in range(10)))
    sealed = [each.seal("a/b", "f", "x") for each in vaults]
    assert {each.open("a/b", "f", s) for each in vaults for s in sealed} == {"x"}


async def test_a_keyset_stored_under_another_patient_does_not_unwrap_and_is_told(
    vault: Vault,
) -> None:
    other = await new_vault(an_id())
    mine, theirs = await current(vault), await current(other)

    async def put(keyset: bytes | None) -> None:
        batch = Batch(clients.KEYS_DATABASE)
        batch.update(patient_keys.path(other.patient_id), {"keyset": keyset})
        await batch.commit()
        forget_keys()

    await put(mine.keyset)
    with pytest.raises(NotOpened):
        await vault_of(other.patient_id)
    report = await rotate_keys()
    assert report.failed == [other.patient_id]  # and the others were rotated
    assert report.rotated >= 1
    await put(theirs.keyset)
    assert await vault_of(other.patient_id)


async def test_a_destroyed_key_is_gone_and_none_takes_its_place(vault: Vault) -> None:
    for _ in range(2):  # again is no harm
        await crypto.destroy(vault.patient_id)
    for attempt in (vault_of, new_vault):
        with pytest.raises(NotFound):
            await attempt(vault.patient_id)
    await crypto.destroy("never-was")


async def test_a_patient_who_never_was_has_no_key(platform: Platform) -> None:
    with pytest.raises(NotFound):
        await vault_of(an_id())


async def test_keys_lie_in_their_own_database_only(vault: Vault) -> None:
    path = patient_keys.path(vault.patient_id)
    keys = await clients.firestore_client(clients.KEYS_DATABASE).document(path).get()
    records = await clients.firestore_client().document(path).get()
    assert (keys.exists, records.exists) == (True, False)


# ---------------------------------------------------------------- rotation


async def current(vault: Vault) -> crypto.PatientKey:
    key = await patient_keys.get(vault.patient_id)
    assert key
    assert key.keyset
    return key


async def test_after_kms_rotates_keys_are_wrapped_anew_and_the_old_version_can_go(
    platform: Platform, tmp_path: Path
) -> None:
    vault = await new_vault(an_id())
    sealed = vault.seal("a/b", "f", "x")
    request = kms_v1.CreateCryptoKeyVersionRequest(parent=KMS_KEY.removeprefix("gcp-kms://"))
    made = await asyncio.to_thread(clients.kms_client().create_crypto_key_version, request)
    newest = int(made.name.rsplit("/", 1)[-1])
    before = await current(vault)
    await crypto.rotate(before)
    after = await current(vault)
    assert wrapped_by(before) < newest
    assert wrapped_by(after) == newest
    forget_keys()
    assert (await vault_of(vault.patient_id)).open("a/b", "f", sealed) == "x"


def wrapped_by(key: crypto.PatientKey) -> int:
    """The version of the KMS key that wrapped this keyset: the stand-in puts it first."""
    from tink.proto import tink_pb2

    assert key.keyset
    encrypted = tink_pb2.EncryptedKeyset.FromString(key.keyset)
    return int.from_bytes(encrypted.encrypted_keyset[:4], "big")


async def test_a_new_data_key_is_known_everywhere_before_it_is_used(vault: Vault) -> None:
    old = vault.seal("a/b", "f", "old")
    await crypto.rotate(await current(vault), DataKey.ADD)
    await crypto.rotate(await current(vault), DataKey.ADD)  # after a crash: adds no third
    forget_keys()
    added = await vault_of(vault.patient_id)
    meanwhile = added.seal("a/b", "f", "meanwhile")
    assert vault.open("a/b", "f", meanwhile) == "meanwhile"  # an instance with the old keyset
    await crypto.rotate(await current(vault), DataKey.USE)
    forget_keys()
    used = await vault_of(vault.patient_id)
    new = used.seal("a/b", "f", "new")
    assert added.open("a/b", "f", new) == "new"
    assert [used.open("a/b", "f", each) for each in (old, meanwhile, new)] == [
        "old",
        "meanwhile",
        "new",
    ]
    with pytest.raises(NotOpened):
        vault.open("a/b", "f", new)


async def test_a_rotation_that_met_another_change_tells(vault: Vault) -> None:
    seen = await current(vault)
    await crypto.rotate(seen)
    with pytest.raises(RecordChanged):
        await crypto.rotate(seen)


# ---------------------------------------------------------------- KMS


async def test_while_kms_is_away_what_needs_a_key_says_so(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.cloud.kms_v1.services.key_management_service.transports import (
        KeyManagementServiceGrpcTransport,
    )

    vault = await new_vault(an_id())
    forget_keys()
    nowhere = grpc.insecure_channel(f"127.0.0.1:{free_ports(1)[0]}")
    gone = kms_v1.KeyManagementServiceClient(
        transport=KeyManagementServiceGrpcTransport(channel=nowhere)
    )
    monkeypatch.setattr(clients, "kms_client", lambda: gone)
    with pytest.raises(Unavailable, match="key service"):
        await vault_of(vault.patient_id)
    monkeypatch.undo()
    assert await vault_of(vault.patient_id)  # and it works again as soon as KMS does


def test_the_stand_ins_keys_outlive_it_in_a_file_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "kms.json"
    request = kms_v1.EncryptRequest(
        name="projects/p/k", plaintext=b"x", additional_authenticated_data=b"a"
    )
    first = kms.Kms(kms.KeyFile(file))
    wrapped = first.encrypt(request, None)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    second = kms.Kms(kms.KeyFile(file))
    opened = second.decrypt(
        kms_v1.DecryptRequest(
            name="projects/p/k", ciphertext=wrapped.ciphertext, additional_authenticated_data=b"a"
        ),
        None,
    )
    assert opened.plaintext == b"x"
    keys = json.loads(file.read_text())
    assert len(base64.b64decode(keys["projects/p/k"][0])) == 32


async def test_the_stand_in_refuses_what_kms_refuses(platform: Platform) -> None:
    from google.api_core.exceptions import InvalidArgument

    name = KMS_KEY.removeprefix("gcp-kms://")
    wrapped = await asyncio.to_thread(
        clients.kms_client().encrypt, {"name": name, "plaintext": b"x"}
    )
    for request in (
        {"name": name, "ciphertext": wrapped.ciphertext, "additional_authenticated_data": b"a"},
        {"name": name, "ciphertext": wrapped.ciphertext[:-1]},
        {"name": name, "ciphertext": b""},
        {"name": name + "2", "ciphertext": wrapped.ciphertext},
    ):
        with pytest.raises(InvalidArgument):
            await asyncio.to_thread(clients.kms_client().decrypt, request)


async def test_health_says_when_kms_is_away(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> Any:
        raise Unavailable

    assert await crypto.is_reachable()
    monkeypatch.setattr(clients, "kms_client", gone)
    assert not await crypto.is_reachable()
