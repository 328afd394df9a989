"""A baseline for booking: the documents of one of our bookings, by a transaction that reads, then writes.

Synchronous, and without a token, a policy or encryption.
"""

from functools import lru_cache
from typing import Any

import functions_framework
from flask import Request, Response, jsonify
from google.cloud import firestore

_TEXT = {f"field_{n}": "as much as is stored" for n in range(12)}


@lru_cache
def client() -> firestore.Client:
    return firestore.Client()  # on first use: gRPC does not survive the framework's fork


@firestore.transactional
def _book(transaction: firestore.Transaction, slot: Any, wish: dict[str, Any]) -> bool:
    doctor = client().document(f"doctors/{wish['doctor_id']}").get(transaction=transaction)
    if not doctor.exists or slot.get(transaction=transaction).exists:
        return False
    transaction.set(slot, {"start": wish["start"], "doctor_id": wish["doctor_id"]})
    for name in ("appointments", "days", "grants", "reminders", "audit_events"):
        transaction.set(client().collection(f"bare_{name}").document(), {**_TEXT, **wish})
    return True


@functions_framework.http
def transaction(request: Request) -> tuple[Response, int]:
    if request.method == "GET":
        return jsonify({}), 200
    wish = request.get_json()
    slot = client().document(f"bare_doctors/{wish['doctor_id']}/booked/{wish['start']}")
    is_booked = _book(client().transaction(), slot, wish)
    return jsonify(wish), 201 if is_booked else 409
