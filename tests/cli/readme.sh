# README.md's examples of what it looks like are what the program prints.
. "$(dirname "$0")/prelude.sh"
need_namespaces
example_site policies
cat >shown.py <<'PYTHON'
"""Each command of README's section and what follows it, against the program's own word."""
import os, re, subprocess, sys

page = open(sys.argv[1], encoding="utf-8").read()
section = re.search(r"^## What it looks like$(.*?)(?=^It can also)", page, re.M | re.S).group(1)
lines = [line[4:] for line in section.splitlines() if line.startswith("    ") or not line.strip()]
shown = re.split(r"^\$ ", "\n".join(lines), flags=re.M)[1:]
asked = 0
for example in shown:
    command, _, wanted = example.partition("\n")
    if "--pcap" in command:
        continue  # eval_pcap.sh has captures of its own
    if command.startswith("$EDITOR"):  # the typing error that README speaks of
        path = "policies/web.toml"
        text = open(path, encoding="utf-8").read()
        open(path, "w", encoding="utf-8").write(text.replace('from    = "lb"', 'from    = "lbs"', 1))
        command = command.split(";")[1].split("#")[0].strip()
    command = command.replace("rolewall", os.environ["ROLEWALL_PROGRAM"], 1)
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, stdin=subprocess.DEVNULL, timeout=120)
    asked += 1
    found = [line.rstrip() for line in done.stdout.strip().splitlines()]
    if not set(line.rstrip() for line in wanted.strip().splitlines()) <= set(found):
        print(f"README.md: $ {command}\n--- README has:\n{wanted.strip()}\n--- it prints:\n"
              + "\n".join(found))
        sys.exit(1)
if asked < 5:
    sys.exit(f"README.md: only {asked} examples found")
PYTHON
ran="README.md's examples"
status=0
python3 shown.py "$ROLEWALL_SOURCE/README.md" >"$scratch/out" 2>"$scratch/err" || status=$?
expect_status 0
