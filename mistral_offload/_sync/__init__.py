# Generated from mistral_offload/_async/__init__.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: a98a0bf8bbd5f94f

"""Everything that waits, in one colour; the other is generated from it."""
