#!/usr/bin/python3
"""Looks at a page in Chromium and prints, as JSON, what it found.

    browser.py URL [--width 390] [--height 900] [--dark] [--open] [--screenshot FILE]

text          what a reader sees (with --open: with all details opened)
title         of the page
overflow      how many pixels the page is wider than the window, and what sticks out of it
requests      every URL the browser asked for
complaints    errors, and violations of the content security policy
faint         texts whose contrast to their background is less than 4.5, with the contrast
unnamed       pictures that say nothing to a screen reader

It talks to the browser through a pair of pipes (DevTools protocol), so it needs no library and no
port.
"""
import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

LOOK = r"""
(() => {
  const seen = e => { const s = getComputedStyle(e); return s.visibility !== 'hidden' &&
      s.display !== 'none' && e.getClientRects().length > 0; };
  const width = document.documentElement.clientWidth, out = {};
  out.title = document.title;
  out.text = document.body.innerText;
  out.overflow = Math.max(0, document.documentElement.scrollWidth - width);
  out.sticks_out = [...document.querySelectorAll('body *')].filter(e => seen(e) &&
      !e.closest('svg') && !e.closest('.scroll') && e.getBoundingClientRect().right > width + 0.5)
      .map(e => e.tagName + ' ' + e.innerText.slice(0, 40));
  out.unnamed = [...document.querySelectorAll('svg')].filter(e => !e.parentElement.closest('svg') &&
      e.getAttribute('aria-hidden') !== 'true' && !e.getAttribute('aria-label')).length;
  const rgb = c => { const m = c.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const light = c => { const [r, g, b] = c.map(v => { v /= 255;
      return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const back = e => { for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; }
      return [255, 255, 255, 1]; };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  out.faint = [];
  for (let n = walk.nextNode(); n; n = walk.nextNode()) {
    const e = n.parentElement;
    if (!n.nodeValue.trim() || !seen(e)) continue;
    const s = getComputedStyle(e), front = rgb(e.closest('svg') ? s.fill : s.color);
    const a = light(front), b = light(back(e));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) out.faint.push([n.nodeValue.trim().slice(0, 40), contrast]);
  }
  return JSON.stringify(out);
})()
"""


class Browser:
    def __init__(self):
        program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
        if program is None:
            sys.exit("browser.py: there is no chromium-headless-shell: make deps")
        self.home = tempfile.mkdtemp(prefix="browser.")
        to_child, self.to = os.pipe()
        self.back, from_child = os.pipe()
        self.errors = open(os.path.join(self.home, "errors"), "w+b")
        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--disable-background-networking", "--disable-component-update", "--no-first-run",
             "--hide-scrollbars", "--remote-debugging-pipe", "--user-data-dir=" + self.home,
             "about:blank"],
            close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=self.errors, env={**os.environ, "HOME": self.home, "LC_ALL": "C.UTF-8"},
            preexec_fn=lambda: (os.dup2(to_child, 13), os.dup2(from_child, 14),
                                os.dup2(13, 3), os.dup2(14, 4)))
        os.close(to_child)
        os.close(from_child)
        self.number = 0
        self.buffer = b""
        self.events = []

    def read(self):
        while b"\0" not in self.buffer:
            more = os.read(self.back, 1 << 16)
            if not more:
                self.errors.seek(0)
                sys.exit("browser.py: the browser ended: " + self.errors.read().decode()[-2000:])
            self.buffer += more
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    sys.exit(f"browser.py: {method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, method):
        while not any(e.get("method") == method for e in self.events):
            self.events.append(self.read())

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def look(browser, o):
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(method, **params):
        return browser.call(method, session, **params)

    for domain in ("Page", "Network", "Log", "Runtime"):
        call(domain + ".enable")
    call("Emulation.setDeviceMetricsOverride", width=o.width, height=o.height,
         deviceScaleFactor=1, mobile=o.width < 600)
    if o.dark:
        call("Emulation.setEmulatedMedia",
             features=[{"name": "prefers-color-scheme", "value": "dark"}])
    call("Page.navigate", url=o.url)
    browser.wait("Page.loadEventFired")
    if o.open:
        call("Runtime.evaluate",
             expression="document.querySelectorAll('details').forEach(d => d.open = true)")
    found = json.loads(call("Runtime.evaluate", expression=LOOK)["result"]["value"])
    if o.screenshot:
        size = call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": o.width, "height": size["height"], "scale": 1}
        picture = call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
        with open(o.screenshot, "wb") as f:
            f.write(base64.b64decode(picture))
    found["requests"] = [e["params"]["request"]["url"] for e in browser.events
                         if e.get("method") == "Network.requestWillBeSent"]
    found["complaints"] = [e["params"]["entry"]["text"] for e in browser.events
                           if e.get("method") == "Log.entryAdded"]
    return found


def main():
    p = argparse.ArgumentParser()
    p.add_argument("url")
    p.add_argument("--width", type=int, default=1280)
    p.add_argument("--height", type=int, default=900)
    p.add_argument("--dark", action="store_true")
    p.add_argument("--open", action="store_true")
    p.add_argument("--screenshot")
    o = p.parse_args()
    browser = Browser()
    try:
        print(json.dumps(look(browser, o), indent=1))
    finally:
        browser.close()


main()
