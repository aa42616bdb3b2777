"""Values to bytes and back: references, envelopes, and the steps between."""
