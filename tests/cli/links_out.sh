# No file outside of a site is read for it, by a link either; and a file that is no list is not shown.
. "$(dirname "$0")/prelude.sh"
printf 'secret one\nsecret two\nsecret three\n' >outside.txt
printf '192.0.2.66\n' >list.txt
printf 'role = "web"\n' >role.toml

refuses() {
  rolewall check site
  expect_status 1
  expect_out "[bad-path]"
  expect_out "is a link that leads out of the site's directory"
  refuse_out "secret"
  refuse_err "secret"
}
for target in "$PWD/outside.txt" ../../outside.txt; do
  example_site site
  ln -sf "$target" site/lists/abusers.txt
  refuses
  rm -r site
done
example_site site
mkdir elsewhere
cp list.txt elsewhere/abusers.txt
rm -r site/lists
ln -s ../elsewhere site/lists
refuses
rm -r site
for file in web.toml rolewall.lock site.toml rules/hardening.toml; do
  example_site site
  mkdir -p site/rules
  cp "$ROLEWALL_SOURCE/rules/hardening.toml" site/rules/
  mv "site/$file" "$(basename "$file").moved"
  ln -s "$PWD/$(basename "$file").moved" "site/$file"
  refuses
  rm -r site
done

# Within the site a link is a name like any other, and the site itself may be one.
example_site real
mv real/lists/abusers.txt real/lists/real.txt
ln -s real.txt real/lists/abusers.txt
ln -s real site
rolewall check site
expect_status 0

# Of a file that is no list one line is shown.
cp outside.txt real/lists/real.txt
rolewall check site
expect_status 1
expect_out "secret one"
refuse_out "secret two"
expect_out "no address or prefix stands on lines 2, 3 either"
