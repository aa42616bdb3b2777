"""What a process takes from its environment: settings, the platform, and Temporal."""
