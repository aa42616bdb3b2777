"""No test waits without a bound: `bounds` and `temporal_bounds` have one for everything."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
EXEMPT = {
    "bounds.py": "the bounds",
    "temporal_bounds.py": "the bounds",
    "matrix.py": "bounds its rows by itself",
    "servers/process.py": "bounds its children by itself",
    "servers/reaper.py": "waits as long as the test run lasts",
    "faults/on_a_full_disk.py": "a program; test_disks bounds it",
    "faults/soak/load.py": "a program that bounds each of its workflows",
    "faults/soak/readers.py": "a program that bounds each of its workflows",
    "official/client.py": "a program that bounds itself; test_local_platform bounds it, too",
    "official/documented_worker.py": "a program; test_documented_programs bounds it",
    "temporal/lookups.py": "activities, which Temporal bounds",
    "workers/unfinished.py": "a program; test_worker_activations bounds it",
    "typing/api.py": "only type checkers read it",
    "typing/revealed.py": "only type checkers read it",
    "workflows/typed_uses.py": "only type checkers read it",
}
BOUNDS = {"within", "wait_for", "create_task", "ensure_future", "in_background", "raises"}


def test_no_test_waits_without_a_bound() -> None:
    found: list[str] = []
    for file in sorted(TESTS.rglob("*.py")):
        name = file.relative_to(TESTS).as_posix()
        generated = name.startswith(("_sync/", "servers/node_modules/"))
        if not generated and name not in EXEMPT:
            tree = ast.parse(file.read_text())
            found += [f"tests/{name}:{line}: {what}" for line, what in unbounded(tree)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "async def f():\n    await handle.result()",
        "async def f():\n    await event.wait()",
        "async def f():\n    await asyncio.gather(a, b)",
        "async def f():\n    await client.execute_workflow('w')",
        "async def f():\n    await workflows.run_worker([W])",
        "async def f():\n    task = asyncio.create_task(g())\n    await task",
        "async def f():\n    async with Worker(client): ...",
        "async def f():\n    await asyncio.to_thread(process.wait)",
        "client = await_(Client.connect(target))",
        "thread.join()",
        "event.wait()",
        "process.communicate()",
        "process.stdout.readline()",
        "ThreadPoolExecutor(3)",
        "threading.Thread(target=f)",
        "threading.Barrier(3)",
        "subprocess.run(['true'])",
        "process = subprocess.Popen(['true'])",
        "urlopen(url)",
    ],
)
def test_what_is_found(source: str) -> None:
    assert len(list(unbounded(ast.parse(source)))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "async def f():\n    await within(event.wait())",
        "async def f():\n    await within(asyncio.gather(a, b))",
        "start = threading.Barrier(3, timeout=PATIENCE_SECONDS)\nstart.wait()",
        "@workflow.defn\nclass W:\n    async def run(self):\n        await asyncio.gather(a, b)",
        "subprocess.run(['true'], timeout=3)",
        "', '.join(names)\nthread.join(10)",
    ],
)
def test_what_is_not(source: str) -> None:
    assert list(unbounded(ast.parse(source))) == []


def unbounded(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Find waits that may last for ever: their lines, and what is to be used there."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    tasks, barriers = set[str](), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            names = {ast.unparse(target) for target in node.targets}
            tasks |= names if _name(node.value) in ("create_task", "ensure_future") else set()
            barriers |= names if _name(node.value) == "Barrier" else set()
    for node in ast.walk(tree):
        parent = parents.get(node)
        if isinstance(node, ast.Await) and ast.unparse(node.value) in tasks:
            yield node.lineno, "within"
        is_called = isinstance(parent, ast.Call) and parent.func is node
        if (
            isinstance(node, ast.Attribute)
            and ast.unparse(node) == "process.wait"
            and not is_called
        ):
            yield node.lineno, "output_of"
        if (
            isinstance(node, ast.Call)
            and not _in_workflow(node, parents)
            and (wanted := _bound_for(node, parent, barriers))
        ):
            yield node.lineno, wanted


def _bound_for(call: ast.Call, parent: ast.AST | None, barriers: set[str]) -> str | None:
    name, given = _name(call), {keyword.arg for keyword in call.keywords}
    receiver = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    if isinstance(parent, ast.Await):
        if name == "result" and not call.args:
            return "result_of"
        if name == "execute_workflow":
            return "start_workflow and result_of"
        if (name in ("gather", "wait") and "timeout" not in given) or name == "run_worker":
            return "within, or in_background"
        return None
    if isinstance(parent, ast.withitem) and name == "Worker":
        return "running"
    if name == "Popen":
        return "start, or child"
    if name == "wait" and not call.args and not given:
        is_bounded = isinstance(parent, ast.Call) and _name(parent) in BOUNDS
        return None if is_bounded or receiver in barriers else "a number of seconds"
    needs_timeout = {
        "communicate": "output_of",
        "Barrier": "a timeout",
        "urlopen": "a timeout",
        **dict.fromkeys(("run", "check_output", "check_call"), "a timeout"),
    }
    if name in needs_timeout and "timeout" not in given:
        is_other = name.startswith(("run", "check")) and receiver != "subprocess"
        return None if is_other else needs_timeout[name]
    if name == "join" and not call.args and not given:
        return "join"
    if name == "readline" and receiver.endswith("stdout"):
        return "read_line"
    if name == "connect" and receiver == "Client":
        return "connect"
    if name == "Thread" and "daemon" not in given:
        return "Threads, or daemon=True"
    return "Threads, or executor" if name == "ThreadPoolExecutor" else None


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _in_workflow(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """Return True if a node stands in a workflow's class: Temporal bounds those."""
    while node in parents:
        node = parents[node]
        if isinstance(node, ast.ClassDef):
            decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
            return any(".defn" in text or ".define" in text for text in decorators)
    return False
