# Generated from tests/_async/__init__.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: e3b0c44298fc1c14
