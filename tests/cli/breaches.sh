# Mistakes that a policy may get, in the example site: its laws and tests find each, with a packet that
# the kernel lets in.
. "$(dirname "$0")/prelude.sh"
need_namespaces
ran="the breaches"
python3 "$ROLEWALL_SOURCE/tests/support/breaches.py" "$ROLEWALL_PROGRAM" "$ROLEWALL_SOURCE/policies" "$scratch/work" ||
  exit 1
