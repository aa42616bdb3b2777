# Generated from mistral_offload/_async/__init__.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 54633339d5373297

"""Everything that waits for I/O; the package for blocking callers is generated from this one."""
