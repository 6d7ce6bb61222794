"""Create a new handler with its test: ``python -m components.new_handler NAME``."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from .toolchain import BUNDLE_FOLDER

NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")

HANDLER = """\
/** What tasks of `?handler={name}` do. docs/write-a-handler.md tells what else a handler can export. */

/** What a payload must be, as a JSON Schema: others are refused when they are submitted. */
export const payload = {{
  type: 'object',
  properties: {{ name: {{ type: 'string' }} }},
  required: ['name'],
}};

/**
 * @param {{string}} text the payload
 * @param {{{{log: {{info(message: string): void}}}}}} context what the handler is told of the attempt
 * @returns {{{{greeting: string}}}} the task's result: anything that JSON can hold
 */
export default function handle(text, {{ log }}) {{
  const {{ name }} = JSON.parse(text);
  log.info('greeting somebody'); // never write a payload into the log
  return {{ greeting: `Hello, ${{name}}!` }};
}}
"""

TYPESCRIPT_HANDLER = """\
/** What tasks of `?handler={name}` do. docs/write-a-handler.md tells what else a handler can export. */

interface Payload {{
  name: string;
}}

/** What a payload must be, as a JSON Schema: others are refused when they are submitted. */
export const payload = {{
  type: 'object',
  properties: {{ name: {{ type: 'string' }} }},
  required: ['name'],
}};

/** The task's result can be anything that JSON can hold. */
export default function handle(text: string): {{ greeting: string }} {{
  const {{ name }}: Payload = JSON.parse(text);
  return {{ greeting: `Hello, ${{name}}!` }};
}}
"""

TEST = """\
import assert from 'node:assert/strict';
import {{ after, before, test }} from 'node:test';

import {{ startHandler }} from '{helper}';

/** @type {{import('{helper}').HandlerUnderTest}} */
let handler;
before(async () => {{ handler = await startHandler(new URL('./{name}{ending}', import.meta.url)); }});
after(() => handler.stop());

test('{name} greets who is named', async () => {{
  const {{ result }} = await handler.run('{{"name": "Ada"}}');
  assert.deepEqual(result, {{ greeting: 'Hello, Ada!' }});
}});
"""


class NewHandlerError(Exception):
    """The handler cannot be created; the message is one line for the user."""


def write_handler(name: str, folder: Path, ending: str = ".js") -> list[Path]:
    """Create a handler and its test.

    Args:
        name: the name by which tasks select the handler.
        folder: the folder of handlers; created if it does not exist.
        ending: the file's ending, ``.js`` or ``.ts``.

    Returns:
        The two files.

    Raises:
        NewHandlerError: the name is not valid for a handler, or one of the files exists already.
    """
    if not NAME.fullmatch(name):
        raise NewHandlerError(
            f"expected a name of at most 64 lower-case letters, digits, _ or -, with a letter first, got {name!r}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    helper = Path(os.path.relpath(BUNDLE_FOLDER / "testing.js", folder.resolve())).as_posix()
    helper = helper if helper.startswith(".") else f"./{helper}"
    source = (TYPESCRIPT_HANDLER if ending == ".ts" else HANDLER).format(name=name)
    test = TEST.format(name=name, ending=ending, helper=helper)
    texts = {folder / f"{name}{ending}": source, folder / f"{name}.test.js": test}
    for file in [*texts, folder / f"{name}.js", folder / f"{name}.ts"]:
        if file.exists():
            raise NewHandlerError(f"expected no file {file} yet, found one")
    for file, text in texts.items():
        file.write_text(text, encoding="utf-8")
    return list(texts)


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m components.new_handler", description="Write a new handler.")
    parser.add_argument("name", help="what tasks call it")
    parser.add_argument("--folder", type=Path, default=Path("worker/handlers"), help="default: %(default)s")
    parser.add_argument("--typescript", action="store_true", help="in TypeScript")
    options = parser.parse_args()
    try:
        files = write_handler(options.name, options.folder, ".ts" if options.typescript else ".js")
    except NewHandlerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"written: {files[0]}\nwritten: {files[1]}\nits test: node --test {files[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
