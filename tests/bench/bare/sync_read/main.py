"""A baseline for reads: a synchronous function that returns the document its path names."""

from functools import lru_cache

import functions_framework
from flask import Request, Response, jsonify
from google.cloud import firestore


@lru_cache
def client() -> firestore.Client:
    return firestore.Client()  # on first use: gRPC does not survive the framework's fork


@functions_framework.http
def sync_read(request: Request) -> Response:
    return jsonify(client().document(request.path.strip("/")).get().to_dict())
