#!/usr/bin/env python3
"""The report's page in a browser: on a phone and a desktop, light and dark.

axe-core finds nothing, the body never scrolls sideways, Tab comes to everything that can be used, in the page's order,
with a visible focus; nothing is loaded, and the page's policy refuses a script. Skipped where there is no Chromium; axe-core
(`npm install axe-core`; ROLEWALL_NODE_MODULES names the folder) is left out where it is not there.

    page_test.py PROGRAM SOURCE [--screenshots FOLDER]
"""
import os
import pathlib
import subprocess
import sys
import tempfile

from browser import Browser, find_chromium

SKIPPED = 77
SIZES = {"phone": (390, 844), "desktop": (1280, 900)}
FOCUS = """(() => { const e = document.activeElement; const s = getComputedStyle(e);
  const all = [...document.querySelectorAll('a[href], summary, [tabindex="0"]')].filter(x => x.checkVisibility());
  return [all.indexOf(e), all.length, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2]; })()"""


def axe_core(source: pathlib.Path) -> str | None:
    folders = [os.environ.get("ROLEWALL_NODE_MODULES", ""), source / "node_modules", "/usr/lib/node_modules",
               "/usr/local/lib/node_modules", "/usr/share/nodejs"]
    for folder in filter(None, folders):
        file = pathlib.Path(folder) / "axe-core" / "axe.min.js"
        if file.exists():
            return file.read_text()
    return None


def check(browser: Browser, page: pathlib.Path, name: str, scheme: str, axe: str | None, screenshots: str) -> list[str]:
    width, height = SIZES[name]
    where = f"{name}, {scheme}"
    browser.show(page, width, height, scheme)
    wrong = [f"{where}: {each['params']['request']['url']} is loaded" for each in browser.events
             if each.get("method") == "Network.requestWillBeSent" and each["params"]["request"]["url"] != page.as_uri()]
    wrong += [f"{where}: {each['params']['entry']['text']}" for each in browser.events if each.get("method") == "Log.entryAdded"]
    if screenshots:
        for anchor in ("", "flows", "reach", "laws", "hosts", "base"):
            browser.run(f"document.getElementById('{anchor}')?.scrollIntoView(); {'scrollTo(0, 0)' if not anchor else ''}")
            browser.screenshot(pathlib.Path(screenshots) / f"{name}-{scheme}-{anchor or 'top'}.png")
        browser.run("scrollTo(0, 0)")
    for opened in (False, True):
        if opened:
            browser.run("document.querySelectorAll('details').forEach(each => each.open = true)")
        wide = browser.run("document.documentElement.scrollWidth")
        if wide > width:
            wrong.append(f"{where}: the body is {wide} wide")
        if axe:
            browser.run(axe + "; 0")
            found = browser.run("axe.run().then(r => r.violations.map(v => v.id + ': ' + v.help + ': ' + "
                                "v.nodes.slice(0, 3).map(n => n.html.slice(0, 200)).join(' | ')))")
            wrong += [f"{where}, {'open' if opened else 'closed'}: axe-core: {each}" for each in found]
    browser.show(page, width, height, scheme)
    count = browser.run(FOCUS)[1]
    for expected in range(count):
        browser.press_tab()
        at, _, visible = browser.run(FOCUS)
        if at != expected or not visible:
            wrong.append(f"{where}: Tab {expected + 1} of {count} comes to element {at}, "
                         f"whose focus is {'visible' if visible else 'not to be seen'}")
            break
    return wrong


def refuses_script(browser: Browser, page: pathlib.Path) -> list[str]:
    browser.show(page, *SIZES["desktop"], "light")
    ran = browser.run("""(() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';
      document.body.append(s); const t = document.createElement('style'); t.textContent = 'body { display: none }';
      document.body.append(t); return window.ran === 1 || getComputedStyle(document.body).display === 'none'; })()""")
    return ["the page's policy lets a script or a foreign style in"] if ran else []


def main() -> int:
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    screenshots = sys.argv[4] if sys.argv[3:4] == ["--screenshots"] else ""
    if not find_chromium():
        print("skipped: there is no Chromium here (Debian: apt-get install chromium)")
        return SKIPPED
    axe = axe_core(source)
    if not axe:
        print("axe-core is not there, and not asked (npm install axe-core; ROLEWALL_NODE_MODULES)")
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder) / "report.html"
        subprocess.run([program, "report", source / "policies", "--date", "2026-01-01", "-o", page,
                        "--base", source / "policies"], check=True,
                       env=os.environ | {"ROLEWALL_RULES_DIR": str(source / "rules")})
        browser = Browser(pathlib.Path(folder) / "profile")
        try:
            wrong = [line for name in SIZES for scheme in ("light", "dark")
                     for line in check(browser, page, name, scheme, axe, screenshots)]
            wrong += refuses_script(browser, page)
        finally:
            browser.end()
    print("\n".join(wrong) or "the page is well")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
