# A site's policy as one HTML page: what is in it, that it is the same each time, and that a policy's words are never markup.
. "$(dirname "$0")/prelude.sh"
site="$ROLEWALL_SOURCE/policies"

# Elements closed in their order, ids once, headings in order, every anchor there; no script, nothing that is loaded.
well_formed() {
  checks=$((checks + 1))
  python3 - "$1" <<'PYTHON' || complain "$1 is not well formed"
import html.parser, sys
VOID = {"meta"}
class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.stack, self.ids, self.links, self.level, self.wrong = [], set(), [], 0, []
    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag in {"script", "img", "link", "iframe", "object", "base", "form"}: self.wrong.append(f"<{tag}>")
        for name in attrs:
            if name.startswith("on") or name in {"src", "style"}: self.wrong.append(f"{tag} {name}")
        if "id" in attrs:
            if attrs["id"] in self.ids: self.wrong.append(f"id {attrs['id']} twice")
            self.ids.add(attrs["id"])
        if tag == "a": self.links.append(attrs["href"])
        if tag == "th" and "scope" not in attrs: self.wrong.append("a th without scope")
        if tag[0] == "h" and tag[1:].isdigit():
            if int(tag[1:]) > self.level + 1: self.wrong.append(f"{tag} after h{self.level}")
            self.level = int(tag[1:])
        if tag not in VOID: self.stack.append(tag)
    def handle_endtag(self, tag):
        if not self.stack or self.stack.pop() != tag: self.wrong.append(f"</{tag}>")
page = Page()
text = open(sys.argv[1], encoding="utf-8").read()
page.feed(text)
page.close()
page.wrong += [f"<{tag}> stays open" for tag in page.stack]
page.wrong += [f"no {link}" for link in page.links if not link.startswith("#") or link[1:] not in page.ids]
page.wrong += [f"U+{ord(c):04X}" for c in text if ord(c) < 32 and c not in "\n\t" or 0x202a <= ord(c) <= 0x202e]
print("\n".join(page.wrong))
sys.exit(1 if page.wrong or not text.startswith("<!DOCTYPE html>") else 0)
PYTHON
}

rolewall report "$site" --date 2026-01-01 -o page.html
expect_status 0
well_formed page.html
for words in "default-src 'none'" "Tiers and flows" "db.inbound.writes" "web.toml:" "table inet rolewall" \
  'sha256-' '<html lang="en">'; do
  grep -qF -- "$words" page.html || grep -qF -- "$(printf %s "$words" | sed "s/'/\&#39;/g")" page.html ||
    complain "the page lacks: $words"
done
# The hash by which the page permits its style is the style's.
python3 - page.html <<'PYTHON' || complain "the style's hash is another"
import base64, hashlib, re, sys
text = open(sys.argv[1]).read()
style = re.search(r"<style>(.*?)</style>", text, re.S)[1]
sys.exit("sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() not in text)
PYTHON

# The same each time, to a file and to standard output; another day by SOURCE_DATE_EPOCH.
rolewall report -p "$site" --date 2026-01-01
expect_status 0
cmp -s "$scratch/out" page.html || complain "another page on standard output"
SOURCE_DATE_EPOCH=1767225600 rolewall report "$site" -o again.html
expect_status 0
cmp -s again.html page.html || complain "another page by SOURCE_DATE_EPOCH"
SOURCE_DATE_EPOCH=soon rolewall report "$site" -o no.html
expect_status 2
expect_err "SOURCE_DATE_EPOCH"
[ ! -e no.html ] || complain "a file was written"

# What a policy says is data.
example_site hostile
cat >>hostile/web.toml <<'TOML'

[[inbound]]
id      = "hostile"
service = "https"
from    = "192.0.2.7"
comment = "</script></style></pre><script>alert(1)</script>'\" onmouseover=alert(1) & &lt; ]]>"

[[inbound]]
id      = "long"
service = "https"
from    = "192.0.2.8"
comment = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

[[inbound]]
id      = "turned"
service = "https"
from    = "192.0.2.9"
comment = "a\u202Eb\u2066c\u200Bd\u0007e"
TOML
rolewall report hostile -o hostile.html
expect_status 0
well_formed hostile.html
grep -qF '&lt;/script&gt;&lt;/style&gt;' hostile.html || complain "the comment is not shown"
grep -qF 'a\u{202e}b\u{2066}c\u{200b}d\u{7}e' hostile.html || complain "marks are not shown"
printf '# \377\n' >>hostile/web.toml
rolewall report hostile -o bytes.html
expect_status 2
expect_err "invalid-utf8"
[ ! -e bytes.html ] || complain "a page of a wrong policy"

# So is all else that a user writes: the site's name, reasons, names of tests and laws, the directory, a base's name and what
# its ruleset holds, counters.
word="</title></pre></td><script>alert(1)</script><img src=x onerror=alert(1)>\"'"
toml() { printf '%s' "$word" | sed 's/["\\]/\\&/g'; }
folder='a<b>&"c'
example_site "$folder"
sed -i "s|^name .*|name = \"$(toml | sed 's/[&|\\]/\\&/g')\"|; s|^\\[site\\]|&\nallow-finding = { one-family = \"$(toml | sed 's/[&|\\]/\\&/g')\" }|" \
  "$folder/site.toml"
cat >>"$folder/web.toml" <<TOML

[[inbound]]
id            = "reasons"
service       = "http-alt"
from          = "internet"
comment       = "$(toml)"
redirect-only = "$(toml)"

[[test]]
name   = "$(toml)"
accept = "http-alt internet > self"
deny   = "redis internet > self"

[[never]]
name    = "$(toml)"
packets = "redis internet > self"
TOML
cat >stats.json <<JSON
{"host": "web-01", "services": [{"direction": "$(toml)", "service": "$(toml)", "new": 1, "per_1000_seconds": 1500}],
 "rules": [{"name": "$(toml)", "fate": "drop", "packets": 77, "per_1000_seconds": 20}]}
JSON
rolewall compile "$folder" --host web-01 --format json
expect_status 0
python3 - "$scratch/out" "$word" >'base<i>.json' <<'PYTHON'
import json, sys
ruleset = json.load(open(sys.argv[1]))
word = sys.argv[2]
def hostile(value):
    if isinstance(value, dict):
        return {key: word[:60] if key == "comment" and isinstance(each, str) else hostile(each) for key, each in value.items()}
    return [hostile(each) for each in value] if isinstance(value, list) else value
json.dump(hostile(ruleset), sys.stdout)
PYTHON
rolewall report "$folder" --stats stats.json --base 'base<i>.json' -o names.html
expect_status 0
well_formed names.html
for count in "&lt;script&gt;alert(1)" "a&lt;b&gt;&amp;&quot;c" "base&lt;i&gt;"; do
  grep -qF -- "$count" names.html || complain "the page lacks: $count"
done
# Names are not free text: none that could be markup gets into a policy.
for file in 'role<b>.toml' "it's.toml"; do
  example_site named
  printf 'role = "%s"\n' "${file%.toml}" >"named/$file"
  rolewall report named -o no.html
  expect_status 2
done
for line in '[hosts."<b>"]' '[networks]
"<b>" = "192.0.2.1"' '[services]
"<b>" = "tcp/99"' '[interfaces."<b>"]
device = "eth9"'; do
  example_site named
  printf '\n%s\n' "$line" | sed '/^\[networks\]\|^\[services\]/d' >line
  case "$line" in
    *networks*) sed -i '/^\[networks\]/r line' named/site.toml ;;
    *services*) sed -i '/^\[services\]/r line' named/site.toml ;;
    *) cat line >>named/site.toml ;;
  esac
  rolewall report named -o no.html
  expect_status 2
done
[ ! -e no.html ] || complain "a page of a wrong policy"

# What differs from a base: nothing, and an opening.
rolewall report "$site" --base "$site" -o same.html
expect_status 0
grep -qF 'This is proven' same.html || complain "no proof that nothing differs"
example_site opened
printf '\n[[inbound]]\nid = "opened"\nservice = "tcp/8080"\nfrom = "internet"\n' >>opened/web.toml
rolewall report opened --base "$site" -o opened.html
expect_status 0
well_formed opened.html
grep -qF 'newly accepted' opened.html || complain "the opening is not shown"
grep -qF 'tcp/8080' opened.html || complain "the opening's words are not shown"
rolewall report "$site" --base nowhere -o no.html
expect_status 2
[ ! -e no.html ] || complain "a page without its base"

# One host is no hosts.
mkdir one
printf '[site]\nname = "one"\n[hosts.www]\nrole = "web"\naddresses = "203.0.113.1"\n' >one/site.toml
printf 'role = "web"\n' >one/web.toml
rolewall report one -o one.html
expect_status 0
grep -qF '<strong>1</strong>host in 1 role' one.html || complain "the words of one host"

# Counters.
cat >stats.json <<'JSON'
{"host": "web-01", "services": [{"direction": "inbound", "service": "https", "new": 12345, "per_1000_seconds": 1500}],
 "rules": [{"name": "(default)", "chain": "input", "fate": "drop", "packets": 77, "per_1000_seconds": 20},
           {"name": "(default)", "chain": "forward", "fate": "drop", "packets": 78},
           {"name": "web.inbound.app", "chain": "web.inbound.app", "fate": "drop", "excess": true, "packets": 79}, {"name": "x", "fate": "accept", "packets": 1}]}
JSON
rolewall report "$site" --stats stats.json -o counters.html
expect_status 0
well_formed counters.html
tr -d '\n' <counters.html >counters.flat
# By words and lines of the policy, not by chains of the kernel.
for words in 12345 1.500 'web.inbound.app, over its limit' 0.020 '(default)</th>
<td>inbound</td>
<td>dropped' '(default)</th>
<td>forward</td>' "$site/web.toml:"; do
  grep -qF -- "$(echo "$words" | tr -d '\n')" counters.flat || complain "the counters lack: $words"
done
grep -qF '(default) input' counters.html && complain "a chain's name stands in the counters"
sed -i 's/"web-01"/"www"/' stats.json
rolewall report "$site" --stats stats.json -o no.html
expect_status 2
expect_err "stats.json: these are the counters of www, and the site in $site has no host of that name"
[ ! -e no.html ] || complain "a page with another site's counters"
sed 's/"host": "www", //' stats.json >unnamed.json
rolewall report "$site" --stats unnamed.json -o no.html
expect_status 0
rm no.html
echo '[]' >stats.json
rolewall report "$site" --stats stats.json -o no.html
expect_status 2
expect_err 'rolewall stats --format json'

# Audit mode is said.
example_site audit
printf '\n[defaults]\nmode = "audit"\n' >>audit/db.toml
rolewall report audit -o audit.html
expect_status 0
grep -qF 'Audit mode' audit.html || complain "audit mode is not said"
