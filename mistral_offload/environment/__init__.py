"""The environment of a worker process: settings, the platform's REST API, and Temporal."""
