"""Requests of workers, and the workflows that they register."""

from typing import Any

import httpx
import pytest

from mistral_offload.devserver import LocalPlatform

REGISTER = "/v1/workflows/register"
HEARTBEAT = "/v1/workflows/workers/heartbeat"


def registration(*names: str, deployment: str = "spare", **spec: Any) -> dict[str, Any]:
    return {
        "definitions": [
            {"name": name, "input_schema": {}, "signals": [], "new_member": 1, **spec}
            for name in names
        ],
        "deployment_name": deployment,
        "worker_name": f"{deployment}-1",
        "deployment_location": {"location_type": "local"},
    }


async def test_whoami(bare: httpx.AsyncClient, platform: LocalPlatform) -> None:
    assert (await bare.get("/v1/workflows/workers/whoami")).json() == {
        "scheduler_url": platform.temporal_address,
        "namespace": "mistral-workflows",
        "tls": False,
        "features": {},
    }


async def test_registering_again_returns_the_same_ids(bare: httpx.AsyncClient) -> None:
    first = (await bare.post(REGISTER, json=registration("spare-a", "spare-b"))).json()
    second = (await bare.post(REGISTER, json=registration("spare-a", "spare-b"))).json()
    assert first == second
    assert (first["has_conflicts"], first["warnings"]) == (False, [])
    refs = first["workflow_registration_refs"]
    assert [ref["workflow_registration_id"] for ref in refs] == first["workflow_registration_ids"]
    assert len(set(first["workflow_registration_ids"])) == 2
    assert set(refs[0]) == {"workflow_id", "workflow_version_id", "workflow_registration_id"}


async def test_heartbeat(bare: httpx.AsyncClient) -> None:
    body = registration("spare-a", deployment="beating")
    refs = (await bare.post(REGISTER, json=body)).json()["workflow_registration_refs"]
    worker = {name: body[name] for name in ("deployment_name", "worker_name")}

    async def beat(**members: Any) -> Any:
        response = await bare.post(HEARTBEAT, json={**worker, **members})
        assert response.status_code == 200
        return response.json()

    assert await beat(workflow_registration_refs=refs) == {"all_active": True}
    unknown = [{**refs[0], "workflow_registration_id": "lost"}]
    assert await beat(workflow_registration_refs=refs + unknown) == {"all_active": False}
    assert await beat(worker_name="stranger", workflow_registration_refs=refs) == {
        "all_active": False
    }


BAD_REGISTRATIONS: list[dict[str, Any]] = [
    {},
    {"definitions": [{}]},
    {"definitions": "x"},
    registration("runs"),
    registration(""),
]


@pytest.mark.parametrize("body", BAD_REGISTRATIONS)
async def test_bad_registrations(bare: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await bare.post(REGISTER, json=body)).status_code == 422


async def test_the_registration_that_runs_a_workflow(bare: httpx.AsyncClient) -> None:
    """The task queue is that of the definition, else the deployment's name."""
    await bare.post(REGISTER, json=registration("routed", deployment="one"))
    await bare.post(REGISTER, json=registration("routed", deployment="two", task_queue="queue-2"))

    async def deployment(**members: Any) -> Any:
        response = await bare.post("/v1/workflows/routed/execute", json=members)
        return response.json().get("deployment_name")

    assert await deployment() == "two", "the latest"
    assert await deployment(deployment_name="one") == "one"
    assert await deployment(task_queue="one") == "one"
    assert await deployment(task_queue="queue-2") == "two"


async def test_get_workflow(bare: httpx.AsyncClient) -> None:
    body = registration("described", display_name="Described", description="What it does")
    await bare.post(REGISTER, json=body)
    workflow = (await bare.get("/v1/workflows/described")).json()["workflow"]
    assert workflow["name"] == "described"
    assert workflow["display_name"] == "Described"
    assert workflow["description"] == "What it does"
    assert (workflow["type"], workflow["active"], workflow["archived"]) == ("code", True, False)
    by_id = (await bare.get(f"/v1/workflows/{workflow['id']}")).json()["workflow"]
    assert by_id == workflow


async def test_list_workflows_page_by_page(bare: httpx.AsyncClient) -> None:
    names = [f"listed-{number}" for number in range(5)]
    await bare.post(REGISTER, json=registration(*names, deployment="listing"))
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2, "deployment_name": "listing"}
    while True:
        page = (await bare.get("/v1/workflows", params=query)).json()
        assert len(page["workflows"]) <= 2
        seen += [workflow["name"] for workflow in page["workflows"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == names


async def test_list_workflows_by_text_and_order(bare: httpx.AsyncClient) -> None:
    await bare.post(REGISTER, json=registration("find-me-1", "find-me-2", deployment="finding"))

    async def names(**query: Any) -> list[str]:
        page = (await bare.get("/v1/workflows", params=query)).json()
        return [workflow["name"] for workflow in page["workflows"]]

    assert await names(search="FIND-ME") == ["find-me-1", "find-me-2"]
    assert await names(search="find-me", order="desc", active_only=True) == [
        "find-me-2",
        "find-me-1",
    ]


@pytest.mark.parametrize("query", [{"limit": "x"}, {"limit": 0}, {"cursor": "x"}, {"order": "up"}])
async def test_bad_queries(bare: httpx.AsyncClient, query: dict[str, Any]) -> None:
    response = await bare.get("/v1/workflows", params=query)
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"][0] == "query"
