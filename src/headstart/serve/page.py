"""The interface as a page that loads nothing from elsewhere."""

from __future__ import annotations

from html import escape
from json import dumps
from typing import Any

STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}"
    "pre{background:#f4f4f4;padding:1em;overflow:auto}"
)


def page_of(schema: dict[str, Any]) -> str:
    """Return a page that tells of every address in an OpenAPI schema, and of what goes in and comes out.

    >>> info = {"title": "a <b>", "description": ""}
    >>> page = page_of({"info": info, "paths": {"/x": {"get": {"description": "Tell x."}}}})
    >>> "a &lt;b&gt;" in page, "GET /x" in page
    (True, True)
    """
    parts = []
    for path, methods in schema["paths"].items():
        for method, told in methods.items():
            parts.append(f"<h2>{method.upper()} {escape(path)}</h2><p>{escape(told.get('description', ''))}</p>")
            if "requestBody" in told:
                parts.append(_shown("takes", _content(told["requestBody"]), schema))
            for status, answer in told.get("responses", {}).items():
                if status == "200":
                    parts.append(_shown("answers", _content(answer), schema))
                else:
                    parts.append(f"<p>{escape(status)}: {escape(answer['description'])}</p>")
    info = schema["info"]
    title = escape(info["title"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1><p>{escape(info['description'])} Bodies are JSON, with the header Content-Type: "
        'application/json. The same for programs: <a href="openapi.json">openapi.json</a>.</p>' + "".join(parts)
    )


def _content(part: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = part.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _shown(word: str, part: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return a part of the schema, what it refers to put in its place one level deep."""
    name = part.get("$ref", "").rpartition("/")[2]
    found = schema["components"]["schemas"][name] if name else part
    properties = found.get("properties")
    if properties is None:
        return ""
    required = found.get("required", [])
    plain = {f"{key}{' (required)' if key in required else ''}": value for key, value in properties.items()}
    return f"<p>{word}</p><pre>{escape(dumps(plain, indent=1))}</pre>"
