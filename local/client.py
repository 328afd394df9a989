"""`python -m local.client` (`make client`): writes anew what of the TypeScript client follows from the API."""

import json
import sys
from typing import Any

from local import tools, web
from local.api_changes import document_of
from local.bootstrap import ROOT


def generated(node: str) -> dict[str, str]:
    """What follows from the API as the code has it, by name in the client. Raises `ToolMissing`."""
    document = document_of(ROOT)
    with web.staged(node, web.CLIENT) as (place,):
        made = {
            "openapi.json": json.dumps(document, indent=1, ensure_ascii=False) + "\n",
            "src/idempotent.ts": _takes_key(document),
        }
        (place / "openapi.json").write_text(made["openapi.json"])
        web.run(node, place, "generate")
        return made | {"src/schema.d.ts": (place / "src" / "schema.d.ts").read_text()}


def _takes_key(document: dict[str, Any]) -> str:
    paths = sorted(
        path
        for path, item in document["paths"].items()
        for parameter in item.get("post", {}).get("parameters", [])
        if parameter["name"] == "Idempotency-Key"
    )
    return "".join(
        [
            "// Generated from openapi.json, as schema.d.ts is.\n\n",
            "/** The paths whose POST takes effect once for one `Idempotency-Key`. */\n",
            "export const TAKES_IDEMPOTENCY_KEY: ReadonlySet<string> = new Set([\n",
            *(f'  "{path}",\n' for path in paths),
            "]);\n",
        ]
    )


def main() -> int:
    try:
        for name, content in generated(tools.find_node()).items():
            (web.CLIENT / name).write_text(content)
    except (tools.ToolMissing, web.BuildFailed) as problem:
        print(problem)
        return 1
    print(f"{web.CLIENT.relative_to(ROOT)} is what the API is now")
    return 0


if __name__ == "__main__":
    sys.exit(main())
