"""Reports of a worker to the platform: the runs that it executes, and the events of their steps.

The way of an event: `task_reports` observes what a worker receives from Temporal and sends to it,
`workflow_events` and `activity_events` make events of that, and `publisher` sends them from threads
of its own. No code of a workflow or an activity takes part, so nothing is in Temporal's history,
and nothing waits for the platform.
"""
