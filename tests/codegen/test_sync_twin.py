"""The generator of the sync twin, on small trees and on this repository."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from codegen.sources import Pair, RefusedError, read_sources
from codegen.sync_twin import ROOT, run
from codegen.translation import translate

PAIRS = (Pair("pkg/_async", "pkg/_sync"), Pair("checks/_async", "checks/_sync"))


class Tree:
    """A repository with two pairs, in a temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.foreign: dict[str, str] = {}
        for pair in PAIRS:
            (root / pair.source).mkdir(parents=True)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")

    def read(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def generate(self) -> int:
        return run(self.root, PAIRS, self.foreign, check=False)

    def check(self) -> int:
        return run(self.root, PAIRS, self.foreign, check=True)

    def twin(self, text: str) -> str:
        """Return the translation of one module, without its banner."""
        self.write("pkg/_async/module.py", text)
        expected = translate(self.root, read_sources(self.root, PAIRS), self.foreign)
        return expected["pkg/_sync/module.py"].split("\n\n", 1)[1]

    def refusal(self, text: str) -> str:
        """Return the error message for one module."""
        with pytest.raises(RefusedError) as caught:
            self.twin(text)
        return str(caught.value)

    def files(self) -> Mapping[str, tuple[bytes, int]]:
        """Return every file with its bytes and modification time."""
        return {
            path.relative_to(self.root).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in self.root.rglob("*.*")
        }


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def generated(tree: Tree) -> Tree:
    """A tree whose twins are up to date."""
    tree.write("pkg/_async/__init__.py", "")
    tree.write(
        "pkg/_async/http.py",
        '''\
        """Requests."""


        class AsyncHttp:
            """Sends."""

            async def send_async(self) -> int:
                """Send one."""
                return 1
        ''',
    )
    tree.write(
        "checks/_async/test_http.py",
        """\
        from pkg._async.http import AsyncHttp


        async def test_send() -> None:
            assert await AsyncHttp().send_async() == 1
        """,
    )
    assert tree.generate() == 0
    return tree


class TestTranslation:
    def test_a_whole_module(self, tree: Tree) -> None:
        tree.foreign = {"AsyncClient": "Client", "aclose": "close", "aiter_lines": "iter_lines"}
        twin = tree.twin(
            '''\
            """Runs."""

            from __future__ import annotations

            from collections.abc import AsyncGenerator, AsyncIterator, Iterator
            from contextlib import asynccontextmanager, contextmanager

            from httpx import URL, AsyncClient

            from pkg._async.streams import lines_async
            from pkg.zebra import Zebra

            from ..pace import sleep, sleep_async
            from ._async import other

            __all__ = ["AsyncRuns", "open_async"]


            class _AsyncBase:
                """Shared."""


            class AsyncRuns(_AsyncBase):
                """Runs of one client.

                ::

                    async with open_async() as runs:
                        run = await runs.first_async()

                `first_async` gives what `AsyncRuns` has first.
                """

                _client_async: AsyncClient

                async def __aenter__(self) -> AsyncRuns:
                    return self

                async def __aexit__(self, *failure: object) -> None:
                    await self._client_async.aclose()

                async def first_async(self) -> str:
                    async for run in self.list_async():
                        return run
                    raise StopAsyncIteration

                async def list_async(self) -> AsyncIterator[str]:
                    async with self._client_async.stream("GET", URL("/runs")) as answer:
                        lines = answer.aiter_lines()
                        for kept in [line async for line in lines if await keep_async(line)]:
                            yield kept
                    await sleep_async(1)


            async def keep_async(line: str) -> bool:
                return bool(line)


            @asynccontextmanager
            async def open_async() -> AsyncGenerator[AsyncRuns]:
                yield AsyncRuns()
            '''
        )
        assert twin == dedent(
            '''\
            """Runs."""

            from __future__ import annotations

            from collections.abc import Generator, Iterator
            from contextlib import contextmanager

            from httpx import URL, Client

            from pkg._sync.streams import lines
            from pkg.zebra import Zebra

            from ..pace import sleep
            from ._sync import other

            __all__ = ["SyncRuns", "open"]


            class _SyncBase:
                """Shared."""


            class SyncRuns(_SyncBase):
                """Runs of one client.

                ::

                    with open() as runs:
                        run = runs.first()

                `first` gives what `SyncRuns` has first.
                """

                _client: Client

                def __enter__(self) -> SyncRuns:
                    return self

                def __exit__(self, *failure: object) -> None:
                    self._client.close()

                def first(self) -> str:
                    for run in self.list():
                        return run
                    raise StopIteration

                def list(self) -> Iterator[str]:
                    with self._client.stream("GET", URL("/runs")) as answer:
                        lines = answer.iter_lines()
                        for kept in [line for line in lines if keep(line)]:
                            yield kept
                    sleep(1)


            def keep(line: str) -> bool:
                return bool(line)


            @contextmanager
            def open() -> Generator[SyncRuns]:
                yield SyncRuns()
            '''
        )
        compile(twin, "twin", "exec")

    def test_strings_stay_as_they_are(self, tree: Tree) -> None:
        tree.foreign = {"AsyncClient": "Client"}
        text = '''\
        from httpx import AsyncClient

        CODE = "AsyncClient is closed"
        MODE = "async"
        TEXT = """await
        put_async"""
        WORDS = f"await{CODE}async {{put_async}} {CODE!r:>{len(MODE)}} {f'{MODE}'}await"
        RAW = rb"\\d" + b"AsyncClient"
        COMMENT = 1  # await put_async
        '''
        expected = dedent(text).replace("import AsyncClient", "import Client")
        assert tree.twin(text) == expected

    def test_a_string_that_is_a_renamed_name_is_renamed(self, tree: Tree) -> None:
        twin = tree.twin("NAMES = ['put_async', 'PUT_async', x.put_async]\n")
        assert twin == 'NAMES = ["put", "PUT_async", x.put]\n'

    def test_a_class_of_one_pair_is_known_in_the_other(self, generated: Tree) -> None:
        test = generated.read("checks/_sync/test_http.py")
        assert "from pkg._sync.http import SyncHttp" in test
        assert "assert SyncHttp().send() == 1" in test

    def test_an_import_is_sorted_the_same_before_its_file_exists(self, tree: Tree) -> None:
        tree.write("pkg/__init__.py", "")
        tree.write("pkg/pace.py", "")
        tree.write("pkg/_async/other.py", "")
        tree.write("pkg/_async/module.py", "import pkg._async.other\nimport pkg.pace\n")
        tree.generate()
        assert tree.check() == 0

    def test_two_names_of_one_module_become_one_where_sorting_is_off(self, tree: Tree) -> None:
        tree.write("pyproject.toml", "[tool.ruff.lint.per-file-ignores]\n'pkg/_sync/**' = ['I']\n")
        twin = tree.twin("from collections.abc import AsyncIterator, Iterator\n")
        assert twin == "from collections.abc import Iterator\n"

    def test_the_output_has_the_format_of_the_project(self, tree: Tree) -> None:
        tree.write("pyproject.toml", "[tool.ruff]\nline-length = 30\n")
        assert tree.twin("value = call(argument_one, argument_two)\n") == (
            "value = call(\n    argument_one, argument_two\n)\n"
        )

    def test_the_output_is_left_alone_by_ruff(self, generated: Tree) -> None:
        for command in (["format", "--check"], ["check", "--isolated", "--select", "I"]):
            subprocess.run(
                [sys.executable, "-m", "ruff", *command, generated.root], check=True, timeout=50
            )


class TestBanner:
    def test_names_source_command_and_warning(self, generated: Tree) -> None:
        banner = generated.read("pkg/_sync/http.py").split("\n\n")[0]
        assert "pkg/_async/http.py" in banner
        assert "python -m codegen.sync_twin" in banner
        assert "Do not edit" in banner
        assert all(line.startswith("#") for line in banner.splitlines())

    def test_is_on_empty_modules_too(self, generated: Tree) -> None:
        assert "pkg/_async/__init__.py" in generated.read("pkg/_sync/__init__.py")


class TestGeneration:
    def test_fresh_output_passes_the_check(self, generated: Tree) -> None:
        assert generated.check() == 0

    def test_a_second_run_writes_nothing(self, generated: Tree) -> None:
        before = generated.files()
        assert generated.generate() == 0
        assert generated.files() == before

    def test_only_what_changed_is_written(self, generated: Tree) -> None:
        before = generated.files()
        generated.write("pkg/_async/__init__.py", '"""New."""\n')
        generated.generate()
        after = generated.files()
        assert {path for path in after if after[path] != before[path]} == {
            "pkg/_async/__init__.py",
            "pkg/_sync/__init__.py",
        }

    def test_sources_are_never_touched(self, tree: Tree) -> None:
        tree.write("pkg/_async/deep/er/module.py", "x  =  AsyncX\nclass AsyncX: ...\n")
        before = tree.files()
        tree.generate()
        tree.check()
        after = tree.files()
        assert after.keys() - before.keys() == {"pkg/_sync/deep/er/module.py"}
        assert {path: after[path] for path in before} == before

    def test_orphans_are_removed(self, generated: Tree) -> None:
        (generated.root / "pkg/_async/http.py").rename(generated.root / "pkg/_async/web.py")
        generated.write("checks/_async/test_http.py", "")
        generated.generate()
        assert sorted(path.name for path in (generated.root / "pkg/_sync").iterdir()) == [
            "__init__.py",
            "web.py",
        ]

    @pytest.mark.parametrize("damage", ["edited", "banner", "missing"])
    def test_fixes_the_differences_found_by_the_check(self, generated: Tree, damage: str) -> None:
        path = generated.root / "pkg/_sync/http.py"
        good = path.read_bytes()
        if damage == "missing":
            path.unlink()
        else:
            path.write_bytes(good + b"x = 1\n" if damage == "edited" else b"x = 1\n")
        assert generated.check() == 1
        assert generated.generate() == 0
        assert path.read_bytes() == good
        assert generated.check() == 0

    def test_nothing_is_written_when_one_source_is_refused(self, tree: Tree) -> None:
        tree.write("pkg/_async/good.py", "")
        tree.write("pkg/_async/wrong.py", "import asyncio\n")
        assert tree.generate() == 1
        assert not (tree.root / "pkg/_sync").exists()


class TestCheck:
    def expect(self, tree: Tree, capsys: pytest.CaptureFixture[str], line: str) -> None:
        capsys.readouterr()
        before = tree.files()
        assert tree.check() == 1
        printed = capsys.readouterr()
        assert printed.out.splitlines() == [line]
        assert "To fix: python -m codegen.sync_twin" in printed.err
        assert tree.files() == before

    def test_stale(self, generated: Tree, capsys: pytest.CaptureFixture[str]) -> None:
        generated.write("checks/_async/test_http.py", "x = 1\n")
        self.expect(
            generated,
            capsys,
            "checks/_sync/test_http.py: stale: its source, or a name it uses, has changed since",
        )

    def test_missing(self, generated: Tree, capsys: pytest.CaptureFixture[str]) -> None:
        (generated.root / "pkg/_sync/http.py").unlink()
        self.expect(generated, capsys, "pkg/_sync/http.py: missing: not generated yet")

    @pytest.mark.parametrize("name", ["stray.py", "deep/stray.py", "notes.txt"])
    def test_orphan(self, generated: Tree, capsys: pytest.CaptureFixture[str], name: str) -> None:
        generated.write(f"pkg/_sync/{name}", "")
        self.expect(generated, capsys, f"pkg/_sync/{name}: orphan: it has no source")

    @pytest.mark.parametrize("edit", ["append", "cut", "change"])
    def test_edited_by_hand(
        self, generated: Tree, capsys: pytest.CaptureFixture[str], edit: str
    ) -> None:
        text = generated.read("pkg/_sync/http.py")
        edited = {
            "append": text + "\n\ndef stray() -> None: ...\n",
            "cut": text[:-10],
            "change": text.replace("return 1", "return 2"),
        }
        generated.write("pkg/_sync/http.py", edited[edit])
        self.expect(
            generated,
            capsys,
            "pkg/_sync/http.py: edited by hand: make the change in its source",
        )

    def test_banner_missing(self, generated: Tree, capsys: pytest.CaptureFixture[str]) -> None:
        body = generated.read("pkg/_sync/http.py").split("\n\n", 1)[1]
        generated.write("pkg/_sync/http.py", body)
        self.expect(
            generated,
            capsys,
            "pkg/_sync/http.py: banner missing: not written by the generator",
        )

    def test_caches_are_no_orphans(self, generated: Tree) -> None:
        generated.write("pkg/_sync/__pycache__/http.cpython-311.pyc", "")
        generated.write("pkg/_async/__pycache__/http.cpython-311.pyc", "")
        assert generated.check() == 0

    def test_says_why_a_source_is_refused(
        self, generated: Tree, capsys: pytest.CaptureFixture[str]
    ) -> None:
        generated.write("pkg/_async/http.py", "import asyncio\n")
        assert generated.check() == 1
        assert "pkg/_async/http.py:1: imports asyncio" in capsys.readouterr().err


class TestRefusals:
    def test_missing_folder(self, tree: Tree) -> None:
        (tree.root / "checks/_async").rmdir()
        assert tree.refusal("") == "checks/_async: no such folder"

    @pytest.mark.parametrize(
        "statement",
        ["import asyncio", "import anyio.abc as abc", "from asyncio import gather", "import trio"],
    )
    def test_event_loop_import(self, tree: Tree, statement: str) -> None:
        assert "module.py:2: imports " in tree.refusal(f"import json\n{statement}\n")

    def test_an_own_module_may_be_named_like_an_event_loop(self, tree: Tree) -> None:
        assert tree.twin("from .trio import x\n") == "from .trio import x\n"

    @pytest.mark.parametrize(
        "name",
        [
            "Awaitable",
            "Coroutine",
            "aiter",
            "anext",
            "aclose",
            "aread",
            "aiter_lines",
            "pytest_asyncio",
            "is_async_call",
            "ASYNC_LIMIT",
            "MyAsyncThing",
        ],
    )
    def test_leftover(self, tree: Tree, name: str) -> None:
        refusal = tree.refusal(f'"""Doc.\n\nMore.\n"""\n\nx = [\n    {name},\n]\n')
        assert refusal.startswith(f"pkg/_async/module.py:7: {name!r} is left over")

    def test_unused_foreign_entry(self, tree: Tree) -> None:
        tree.foreign = {"aclose": "close", "aread": "read"}
        refusal = tree.refusal("x = y.aclose\n")
        assert refusal == "FOREIGN_NAMES: no source uses 'aread'; remove the entry"

    def test_foreign_entry_for_a_class_defined_here(self, tree: Tree) -> None:
        tree.foreign = {"AsyncClient": "Client"}
        assert "class AsyncClient is defined here" in tree.refusal("class AsyncClient: ...\n")

    @pytest.mark.parametrize("name", ["AsyncTransport", "_AsyncThing", "AsyncContextManager"])
    def test_unknown_async_class(self, tree: Tree, name: str) -> None:
        assert tree.refusal(f"import json\n\nx = {name}\n") == (
            f"pkg/_async/module.py:3: {name} is defined in no source; add it to FOREIGN_NAMES"
        )

    @pytest.mark.parametrize(
        ("field", "word"),
        [
            ("await x", "await"),
            ("x.put_async", "put_async"),
            ("[y async for y in x]", "async"),
            ("AsyncIterator", "AsyncIterator"),
            ("x:>{width_async}", "width_async"),
            ("x[f'{put_async}']", "put_async"),
            ("is_async_call", "is_async_call"),
        ],
    )
    def test_fstring(self, tree: Tree, field: str, word: str) -> None:
        text = f'put_async = width_async = 1\n\n\nasync def call_async(x):\n    f"{{{field}}}"\n'
        assert tree.refusal(text) == (
            f"pkg/_async/module.py:5: {word!r} inside an f-string; assign it to a variable first"
        )

    @pytest.mark.parametrize(
        "text",
        [
            "def put(): ...\ndef put_async(): ...\n",
            "class A:\n    def put(self): ...\n    async def put_async(self): ...\n",
            "class A:\n    put = 1\n    async def put_async(self): ...\n",
            "class A:\n    def f(self):\n        self.put = 1\n    def put_async(self): ...\n",
            "def f(put, put_async): ...\n",
            "from time import put\nfrom .pace import put_async\n",
            "import put\nfrom .pace import put_async\n",
        ],
    )
    def test_collision(self, tree: Tree, text: str) -> None:
        assert "would both be called put" in tree.refusal(text)

    def test_collision_of_dunders(self, tree: Tree) -> None:
        text = "class A:\n    def __enter__(self): ...\n    def __aenter__(self): ...\n"
        assert "__enter__ and __aenter__ would both be called __enter__" in tree.refusal(text)

    def test_the_same_name_in_two_scopes_is_no_collision(self, tree: Tree) -> None:
        assert tree.twin("def put_async(): ...\n\n\nclass A:\n    def put(self): ...\n")

    @pytest.mark.parametrize("name", ["with_async", "___async"])
    def test_name_without_a_twin(self, tree: Tree, name: str) -> None:
        assert "which is not a valid name" in tree.refusal(f"x = y.{name}\n")

    @pytest.mark.parametrize(
        "word",
        [
            "asynchronously",
            "Async",
            "await",
            "awaits",
            "coroutine",
            "asyncio",
            "unknown_async",
            "AsyncThing",
        ],
    )
    @pytest.mark.parametrize("place", ["module", "method", "attribute"])
    def test_docstring_that_is_not_true_of_the_twin(
        self, tree: Tree, place: str, word: str
    ) -> None:
        docstring = f'"""Sends.\n\n    Does it {word} at once.\n    """'
        text = {
            "module": f"\n\n\n{docstring}\n",
            "method": f"class A:\n\n    def f(self):\n        {docstring}\n",
            "attribute": f"class A:\n    x = 1\n\n    {docstring}\n",
        }
        assert tree.refusal(text[place]) == (
            f"pkg/_async/module.py:6: docstring says {word!r}, which is not true of the sync twin"
        )

    @pytest.mark.parametrize("text", ["await(x)", "[y for y in x if await(y)]"])
    def test_keyword_without_a_space(self, tree: Tree, text: str) -> None:
        assert "no space after 'await'" in tree.refusal(f"async def f(x):\n    {text}\n")

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("pkg/_async/async_client.py", "the folder name already says async"),
            ("pkg/_async/sub_async/client.py", "the folder name already says async"),
            ("pkg/_async/data.json", "not a Python module"),
        ],
    )
    def test_file_that_can_have_no_twin(self, tree: Tree, name: str, message: str) -> None:
        tree.write(name, "")
        assert tree.refusal("").startswith(f"{name}:1: {message}")

    def test_syntax_error(self, tree: Tree) -> None:
        assert "module.py:2: not valid Python" in tree.refusal("x = 1\ndef\n")

    def test_all_problems_are_reported_at_once(self, tree: Tree) -> None:
        refusal = tree.refusal('"""Says async."""\n\nimport asyncio\n\nx = AsyncUnknown\n')
        assert [line.split(":")[1] for line in refusal.splitlines()] == ["1", "3", "5"]


def test_this_repository_is_up_to_date() -> None:
    command = [sys.executable, "-m", "codegen.sync_twin", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
