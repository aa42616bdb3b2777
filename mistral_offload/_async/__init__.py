"""Everything that waits for I/O; the package for blocking callers is generated from this one."""
