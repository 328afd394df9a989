"""The stand-in model's embeddings: what words mean, from vectors that somebody else has trained.

A text's vector is the mean of its tokens'. They know nothing of order or of
denial, but a complaint in a patient's words is near its name in a textbook,
which is what a search is tested with. The package `wordllama` carries them in
its wheel. It is not imported: it would look for them on the network.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

_TOKENS = "tokenizers/l2_supercat_tokenizer_config.json"
_VECTORS = "weights/l2_supercat_256.safetensors"


def embed(text: str, dimensions: int) -> list[float]:
    """A vector of length 1. What has more dimensions than are known ends in zeros."""
    tokenizer, vectors = _loaded()
    valid = text.encode(errors="replace").decode()  # JSON can hold half a character
    ids = tokenizer.encode(valid, add_special_tokens=False).ids
    mean = vectors[ids].mean(axis=0, dtype=np.float64)[:dimensions] if ids else np.zeros(1)
    length = float(np.linalg.norm(mean))
    values = [float(value) for value in mean / length] if length else [1.0]  # says nothing
    return values + [0.0] * (dimensions - len(values))


@cache
def _loaded() -> tuple[Tokenizer, np.ndarray[Any, Any]]:
    """Once, and not before something is embedded: it takes a quarter of a second."""
    found = find_spec("wordllama")
    if not found or not found.origin:
        raise ModuleNotFoundError("wordllama is missing: install requirements-dev.txt")
    package = Path(found.origin).parent
    vectors = load_file(package / _VECTORS)["embedding.weight"]
    return Tokenizer.from_file(str(package / _TOKENS)), vectors
