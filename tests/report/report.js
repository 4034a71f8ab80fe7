// report.js FOLDER: opens the reports that make.lua made in a headless Chromium and uses them as a person would, and
// measures the labels of the pictures that pictures.lua made.
// Chromium is driven over the DevTools protocol on a pipe; needs nothing but node. Screenshots go to the same folder.
"use strict";
const {spawn} = require("child_process"), fs = require("fs"), path = require("path");
const folder = path.resolve(process.argv[2]), chromium = process.env.CHROMIUM || "chromium";

const browser = spawn(chromium, ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
  "--remote-debugging-pipe", "--user-data-dir=" + path.join(folder, "profile"), "about:blank"],
  {stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"]});
browser.on("error", error => { console.error("chromium did not start: " + error.message); process.exit(1); });

let number = 0, buffer = "", failures = 0, checks = 0;
const waiting = new Map(), events = [];
browser.stdio[4].on("data", data => {
  buffer += data;
  for (let end; (end = buffer.indexOf("\0")) >= 0; buffer = buffer.slice(end + 1)) {
    const message = JSON.parse(buffer.slice(0, end));
    if (!message.id) { events.push(message); continue; }
    const [resolve, reject] = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.error) reject(new Error(message.error.message)); else resolve(message.result);
  }
});

const send = (method, params = {}, sessionId) => new Promise((resolve, reject) => {
  waiting.set(++number, [resolve, reject]);
  browser.stdio[3].write(JSON.stringify({id: number, method, params, sessionId}) + "\0");
});
const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

function check(fine, what) {
  checks++;
  if (!fine) { failures++; console.error("not so: " + what); }
}

class Page {
  static async open(name, scripts = true) {
    const page = new Page(), {targetId} = await send("Target.createTarget", {url: "about:blank"});
    page.session = (await send("Target.attachToTarget", {targetId, flatten: true})).sessionId;
    page.name = name;
    for (const domain of ["Page", "Runtime", "Network", "Log"]) await page.send(domain + ".enable");
    await page.send("Emulation.setScriptExecutionDisabled", {value: !scripts});
    await page.send("Emulation.setDeviceMetricsOverride",
      {width: 1100, height: 900, deviceScaleFactor: 1, mobile: false});
    await page.scheme("light");
    await page.send("Page.navigate", {url: "file://" + path.join(folder, name + ".html")});
    for (let i = 0; i < 100 && !page.event("Page.loadEventFired").length; i++) await pause(50);
    return page;
  }
  send(method, params) { return send(method, params, this.session); }
  event(method) { return events.filter(e => e.sessionId === this.session && e.method === method); }
  async get(expression) {
    const {result, exceptionDetails} = await this.send("Runtime.evaluate", {expression, returnByValue: true});
    if (exceptionDetails) throw new Error(this.name + ": " + JSON.stringify(exceptionDetails));
    return result.value;
  }
  scheme(value) {
    return this.send("Emulation.setEmulatedMedia", {features: [{name: "prefers-color-scheme", value}]});
  }
  async key(key) {
    for (const type of ["keyDown", "keyUp"]) await this.send("Input.dispatchKeyEvent", {type, key, code: key});
  }
  async mouse(selector, click) {
    const at = await this.get(`(() => { const e = document.querySelector(${JSON.stringify(selector)});
      e.scrollIntoView({block: "center"}); const r = e.getBoundingClientRect();
      return {x: r.x + r.width / 2, y: r.y + r.height / 2}; })()`);
    await this.send("Input.dispatchMouseEvent", {type: "mouseMoved", ...at});
    if (!click) return;
    for (const type of ["mousePressed", "mouseReleased"]) {
      await this.send("Input.dispatchMouseEvent", {type, button: "left", clickCount: 1, ...at});
    }
  }
  async shot(file) {
    const {contentSize} = await this.send("Page.getLayoutMetrics");
    const {data} = await this.send("Page.captureScreenshot", {captureBeyondViewport: true,
      clip: {x: 0, y: 0, width: 1100, height: Math.min(6000, contentSize.height), scale: 1}});
    fs.writeFileSync(path.join(folder, file), Buffer.from(data, "base64"));
  }
  quiet() {
    check(!this.event("Runtime.exceptionThrown").length, this.name + " raises no error");
    check(!this.event("Log.entryAdded").length, this.name + " logs nothing");
    const urls = this.event("Network.requestWillBeSent").map(e => e.params.request.url);
    check(urls.length === 1 && urls[0].startsWith("file:"), this.name + " loads nothing else");
  }
  // Both schemes must be readable; a screenshot of each.
  async schemes() {
    const clashes = await this.get(CLASHES);
    check(!clashes.length, this.name + ": " + clashes.slice(0, 4).join("; "));
    const colours = `(() => { const s = getComputedStyle(document.body); return s.backgroundColor + s.color; })()`;
    const light = await this.get(colours);
    await this.shot(this.name + "-light.png");
    await this.scheme("dark");
    await pause(100);
    check(await this.get(colours) !== light, this.name + " has a dark side");
    await this.shot(this.name + "-dark.png");
    await this.scheme("light");
  }
}

// Labels of a picture that touch another one or leave the picture; the <text> elements in pairs.
const CLASHES = `(() => [...document.querySelectorAll("svg")].flatMap(svg => {
  const frame = svg.getBoundingClientRect(), found = [], picture = svg.parentElement.dataset.name || "";
  const boxes = [...svg.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()]);
  boxes.forEach(([name, a], i) => {
    if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.top < frame.top - 1 || a.bottom > frame.bottom + 1) {
      found.push(picture + name + " leaves the picture");
    }
    for (const [other, b] of boxes.slice(i + 1)) {
      if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
        Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3) {
        found.push(picture + name + " touches " + other);
      }
    }
  });
  return found;
}))()`;

const COLOURS = `[...document.querySelectorAll("#text i")].map(i => getComputedStyle(i).backgroundColor).join()`;

async function testText() {
  const page = await Page.open("text");
  const first = await page.get(COLOURS), cell = () => page.get(`document.getElementById("cell").value`);
  check((first.match(/rgba\(9, 105, 218/g) || []).length > 20, "many characters are blue");
  check(await page.get(`document.querySelectorAll("#text i").length`) === 600, "600 characters are shown");
  check((await page.get(`document.getElementById("text").textContent`)).includes("</script><script>alert(1)</script>"),
    "markup in the text stays text");
  await page.mouse("#grid b:not(.on)", true);
  const second = await page.get(COLOURS);
  check(second !== first, "a click on another cell changes the colours");
  const before = await cell();
  await page.key("ArrowRight");
  check(await cell() === String(+before + 1), "the right arrow picks the next cell");
  check(await page.get(COLOURS) !== second, "and changes the colours");
  await page.get(`(() => { const s = document.getElementById("layer"); s.value = 1;
    s.dispatchEvent(new Event("change")); })()`);
  check(await page.get(`document.querySelectorAll("#grid b").length`) === 24, "the second layer has its 24 cells");
  const inLayer = await page.get(COLOURS);
  await page.mouse("button[data-cell]:not(.on)", true);
  check(await page.get(COLOURS) !== inLayer, "a click in the ranking changes the colours");
  await page.mouse("#text i:nth-child(45)");
  const next = await page.get(`document.getElementById("next").textContent`);
  check((next.match(/\d%/g) || []).length === 5, "five expectations under the pointer: " + next);
  const sum = (next.match(/[\d.]+(?=%)/g) || []).reduce((a, b) => a + +b, 0);
  check(sum > 50 && sum < 101, "that are probable: " + sum);
  check(/came: .*loss \d/.test(next), "and what came with its loss: " + next);
  await page.mouse("#text i:nth-child(80)", true);
  check(await page.get(`document.getElementById("next").textContent`) !== next, "other characters expect others");
  const byCell = await page.get(COLOURS);
  await page.get(`(() => { const s = document.getElementById("mode"); s.value = "loss";
    s.dispatchEvent(new Event("change")); })()`);
  check(await page.get(COLOURS) !== byCell, "losses have other colours");
  await page.schemes();
  page.quiet();
  const still = await Page.open("text", false);
  await still.shot("text-without-scripts.png");
}

async function testPictures() {
  const names = fs.readdirSync(folder).filter(name => name.endsWith(".svg")).sort();
  check(names.length > 90, "there are pictures to look at");
  fs.writeFileSync(path.join(folder, "pictures.html"), '<meta charset="utf-8">' + names.map(name =>
    `<div data-name="${name}: ">${fs.readFileSync(path.join(folder, name), "utf8")}</div>`).join("\n"));
  const page = await Page.open("pictures"), clashes = await page.get(CLASHES);
  for (const name of names) {
    const own = clashes.filter(clash => clash.startsWith(name + ": "));
    check(!own.length, own.slice(0, 4).join("; "));
  }
}

async function testSeries(name, layers) {
  const page = await Page.open(name);
  const pixels = `document.getElementById("heat").toDataURL() + document.getElementById("line").toDataURL()`;
  const first = await page.get(pixels);
  const before = await page.get(`document.getElementById("cell").value`);
  await page.key(before === "1" ? "ArrowRight" : "ArrowLeft");
  check(await page.get(pixels) !== first, name + ": an arrow key draws another cell");
  await page.mouse("#heat", true);
  check(+await page.get(`document.getElementById("cell").value`) > 1, name + ": a click on a row picks its cell");
  check(await page.get(`document.getElementById("layer").length`) === layers, name + " has its layers");
  await page.schemes();
  page.quiet();
}

(async () => {
  await testText();
  await testSeries("series", 2);
  await testSeries("classes", 1);
  await testPictures();
})().catch(error => { failures++; console.error(error); }).finally(async () => {
  await Promise.race([send("Browser.close").catch(() => {}), pause(3000)]);
  if (browser.exitCode === null) browser.kill();
  console.log("report: " + (checks - failures) + " of " + checks + " checks passed");
  process.exitCode = failures ? 1 : 0;
});
