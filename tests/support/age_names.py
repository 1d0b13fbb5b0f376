#!/usr/bin/env python3
"""age_names.py STATE NAME SECONDS: as if the last answer for the name were that much older, and of another boot."""
import hashlib
import json
import pathlib
import sys

path = pathlib.Path(sys.argv[1]) / "names.json"
known = json.loads(path.read_text())
del known["seal"]
for family in ("ipv4", "ipv6"):
    known["names"][sys.argv[2]][family]["boot_id"] = "another boot"
    known["names"][sys.argv[2]][family]["answered"] -= int(sys.argv[3])
text = json.dumps(known, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
known["seal"] = hashlib.sha256(text.encode()).hexdigest()
path.write_text(json.dumps(known, sort_keys=True, indent=2) + "\n")
