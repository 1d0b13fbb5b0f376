# A limit that counts management's ssh may let in no further connection once one has confirmed: each verb
# that puts it in force says so, and for the host that it puts it in force on.
. "$(dirname "$0")/prelude.sh"
in_namespaces "$@"
two_devices
state="$scratch/state"
site_of_srv '"203.0.113.10"'
role() {
  printf 'role = "server"\n[[inbound]]\nid = "ssh"\nservice = "ssh"\nfrom = "management"\n%s\n' "$1" >site/server.toml
}
role 'limit = "1/day in all"'
rolewall check site
expect_out "management-limited"
for verb in plan apply; do
  rolewall $verb site --host srv --state-dir "$state"
  expect_status 0
  expect_err "management-limited"
done
sed -i 's/^id = "ssh"/&\nallow-finding = { management-limited = "a test" }/' site/server.toml
rolewall plan site --host srv --state-dir "$state"
refuse_err "management-limited"
role ""
for verb in plan apply; do
  rolewall $verb site --host srv --state-dir "$state"
  expect_status 0
  refuse_err "management-limited"
done
