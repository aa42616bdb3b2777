"""The official SDK's import paths; re-exports only."""
