"""Dynamic resources: the program's own provider code, run in process."""

from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider  # pyright: ignore[reportUnknownVariableType]

from local.pulumi.steps import Action
from tests.deploy.conftest import Stack, is_real

# A provider that keeps a text in a file, named by the resource's id.
PROVIDER = """
    from pathlib import Path

    from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, ReadResult, Resource
    from pulumi.dynamic import ResourceProvider, UpdateResult


    class TextProvider(ResourceProvider):
        VERSION = 1

        def configure(self, req):
            self.folder = Path(req.config.require("folder"))
            self.base_url = req.config.get("cloudflare:baseUrl")

        def check(self, _olds, news):
            failures = [CheckFailure("text", "must not be empty")] if news.get("text") == "" else []
            return CheckResult(news, failures)

        def diff(self, id_, olds, news):
            replaces = ["name"] if olds["name"] != news["name"] else []
            return DiffResult(changes=bool(replaces) or olds["text"] != news["text"], replaces=replaces)

        def create(self, props):
            (self.folder / props["name"]).write_text(props["text"])
            return CreateResult(props["name"], {**props, "size": len(props["text"]), "base_url": self.base_url})

        def update(self, id_, olds, news):
            (self.folder / id_).write_text(news["text"])
            return UpdateResult({**news, "size": len(news["text"]), "base_url": self.base_url})

        def read(self, id_, props):
            file = self.folder / id_
            if not file.exists():
                return ReadResult("", {})
            text = file.read_text()
            return ReadResult(id_, {**props, "text": text}, {"name": props["name"], "text": text})

        def delete(self, id_, props):
            (self.folder / id_).unlink()


    class Text(Resource):
        size: pulumi.Output[int]
        base_url: pulumi.Output[str]

        def __init__(self, resource_name, name, text, opts=None):
            super().__init__(
                TextProvider(), resource_name, {"name": name, "text": text, "size": None, "base_url": None}, opts
            )
"""


def prepare(stack: Stack, text: str, provider: str = PROVIDER) -> None:
    files = stack.folder / "files"
    files.mkdir(exist_ok=True)
    stack.configure(f"sample:folder: {files}")
    stack.write("texts.py", "import pulumi\n" + provider.replace("\n    ", "\n"))
    stack.program(
        f"from texts import Text\n{text}\npulumi.export('size', text.size)\npulumi.export('api', text.base_url)"
    )


def test_create_update_replace_delete(stack: Stack) -> None:
    files = stack.folder / "files"
    prepare(stack, 'text = Text("text", "one", "hello")')
    stack.up()
    assert (files / "one").read_text() == "hello"
    assert stack.outputs == {"size": 5, "api": stack.api.base_url}

    stack.up()
    assert stack.lines("~") == []

    prepare(stack, 'text = Text("text", "one", "goodbye")')
    stack.up()
    assert stack.lines("~") == ["text"]
    assert '~ text: "hello" → "goodbye"' in stack.shown
    assert stack.outputs["size"] == 7

    prepare(stack, 'text = Text("text", "two", "goodbye")')
    stack.up()
    assert stack.lines("+-") == ["text"]
    assert [file.name for file in files.iterdir()] == ["two"]

    stack.deploy("destroy")
    assert list(files.iterdir()) == []


def test_unknown_inputs_and_outputs_in_a_preview(stack: Stack) -> None:
    prepare(
        stack,
        'queue = cf.Queue("queue", account_id=ACCOUNT, queue_name="queue")\ntext = Text("text", "one", queue.queue_id)',
    )
    outcome = stack.deploy("preview")
    assert outcome.errors == []
    assert stack.lines("+") == ["queue", "text"]
    assert list((stack.folder / "files").iterdir()) == []
    stack.up()
    assert stack.outputs["size"] == 36


def test_a_check_failure_names_the_property(stack: Stack) -> None:
    prepare(stack, 'text = Text("text", "one", "")')
    assert stack.deploy("up").errors == ["Resource text: text: must not be empty"]


def test_new_provider_code_alone_changes_nothing_but_is_used_from_then_on(stack: Stack) -> None:
    prepare(stack, 'text = Text("text", "one", "hello")')
    stack.up()
    newer = PROVIDER.replace("(self.folder / id_).unlink()", "(self.folder / id_).rename(self.folder / 'kept')")
    prepare(stack, 'text = Text("text", "one", "hello")', newer)
    stack.up()
    assert stack.lines("~") == []
    stack.deploy("destroy")
    assert [file.name for file in (stack.folder / "files").iterdir()] == ["kept"]


def test_a_provider_without_a_diff_gets_a_comparison_of_inputs(stack: Stack) -> None:
    plain = PROVIDER.replace("def diff(", "def unused(")
    prepare(stack, 'text = Text("text", "one", "hello")', plain)
    stack.up()
    stack.up()
    assert stack.lines("~") == []
    prepare(stack, 'text = Text("text", "one", "other")', plain)
    stack.up()
    assert stack.lines("~") == ["text"]


def test_an_exception_of_the_provider_is_shown_with_its_place(stack: Stack) -> None:
    failing = PROVIDER.replace(
        "return CreateResult(", "raise ValueError('disk full')\n            return CreateResult("
    )
    prepare(stack, 'text = Text("text", "one", "hello")', failing)
    (error,) = stack.deploy("up").errors
    assert error.startswith("Resource text: ValueError: disk full [")
    assert "texts.py" in error
    assert stack.state["pending_operations"] == []


def test_refresh_takes_what_the_provider_reads(stack: Stack) -> None:
    file = stack.folder / "files" / "one"
    prepare(stack, 'text = Text("text", "one", "hello")')
    stack.up()
    file.write_text("changed")
    stack.deploy("refresh")
    assert '~ text: "hello" → "changed"' in stack.shown
    stack.up()
    assert file.read_text() == "hello"
    file.unlink()
    stack.deploy("refresh")
    assert stack.lines("-") == ["text"]
    stack.up()
    assert file.read_text() == "hello"


def test_a_provider_defined_in_the_program_itself(stack: Stack) -> None:
    stack.program("""
        from pulumi.dynamic import CreateResult, Resource, ResourceProvider

        class Echo(ResourceProvider):
            def create(self, props):
                return CreateResult("echo", {"said": props["say"]})

        class Said(Resource):
            said: pulumi.Output[str]

            def __init__(self, name, say):
                super().__init__(Echo(), name, {"say": say, "said": None})

        pulumi.export("said", Said("echo", pulumi.Output.secret("hush")).said)
    """)
    stack.up()
    assert stack.outputs == {"said": "hush"}
    assert stack.deploy("destroy").errors == []


def test_what_other_programs_did_in_the_process_is_forgotten(stack: Stack) -> None:
    for _ in range(1_000):  # each makes pickle recurse once more, and the SDK never takes that back
        serialize_provider(ResourceProvider())
    test_a_provider_defined_in_the_program_itself(stack)


def test_the_providers_code_is_marked_secret_in_the_state(stack: Stack) -> None:
    prepare(stack, 'text = Text("text", "one", "hello")')
    stack.up()
    resource = next(item for item in stack.state["resources"] if is_real(item))
    assert set(resource["inputs"]["__provider"]) == {"4dabf18193072939515e22adb298388d", "plaintext"}


def test_outputs_that_drifted_are_seen_and_mended(stack: Stack) -> None:
    """As of a provider that tells no inputs: what is there shows in its outputs only, and its diff looks there."""
    provider = PROVIDER.replace(', {"name": props["name"], "text": text})', ")")
    prepare(stack, 'text = Text("text", "one", "hello")', provider)
    stack.up()
    assert stack.deploy("refresh").tally[Action.UPDATE] == 0
    (stack.folder / "files" / "one").write_text("spoilt")
    assert stack.deploy("refresh").tally[Action.UPDATE] == 1
    assert '~ text: "hello" → "spoilt"' in stack.shown
    stack.up()
    assert stack.lines("~") == ["text"]
    assert (stack.folder / "files" / "one").read_text() == "hello"


def test_a_secret_output_that_drifted_is_not_shown(stack: Stack) -> None:
    provider = PROVIDER.replace(', {"name": props["name"], "text": text})', ")")
    prepare(stack, 'text = Text("text", "one", pulumi.Output.secret("hello"))', provider)
    stack.up()
    (stack.folder / "files" / "one").write_text("spoilt")
    stack.deploy("refresh")
    assert "[secret]" in stack.shown
    assert "spoilt" not in stack.shown
