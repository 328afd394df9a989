"""A baseline for starts: the least that a synchronous function can be."""

import functions_framework
from flask import Request


@functions_framework.http
def hello(request: Request) -> str:
    return "hello"
