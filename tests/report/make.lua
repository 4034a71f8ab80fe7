-- make.lua FOLDER: small reports for report.js: text.html, series.html, classes.html.

local lstm = require "lstm"

local folder = assert(arg[1], "a folder is needed")
lstm.seed(1)

local function page(name, opts) assert(lstm.report(folder .. "/" .. name .. ".html", opts)) end

-- Text with quotes, brackets and lines, and all that could break a page.
local phrases = {'"Come here," she said (twice).\n', "the quick brown fox jumps over the lazy dog\n",
  "</script><script>alert(1)</script>\n", "caf\195\169 & <b>bold</b> \255\254\1\n",
  "42 is 6 * 7, 'quoted' \226\128\147 {x}\n"}
local text = table.concat(phrases):rep(40)
local vocab = lstm.vocab(text, "bytes")
local model = lstm.model{input = vocab, lstm.embedding(16), lstm.lstm(32), lstm.gru(24), output = vocab}
local samples = {}
local history = model:fit(vocab:encode(text), {seq = 32, batch = 8, steps = 300, lr = 5e-3, verbose = 0,
  on_step = function(info)
    if info.step ~= 20 and info.step ~= 150 then return end
    samples[#samples + 1] = {step = info.step, text = phrases[#samples + 2]}
  end})
page("text", {title = "Text <1> & \"2\"", model = model, history = history, samples = samples, text = text,
  length = 600})

-- A series: noise around a sine.
local values = {}
local random = lstm.rng(3)
for i = 1, 600 do values[i] = {math.sin(i / 8) + 0.2 * random:uniform(), math.cos(i / 8)} end
local rows = lstm.table(lstm.array(values), {"height", "slope"})
local known, rest = rows:split(0.8)
local scale = lstm.minmax(known)
local shape = {look_back = 24, target = "height"}
local series = lstm.model{input = 2, lstm.lstm(16), lstm.lstm(8), output = 1}
history = series:fit(scale:apply(known):windows(shape), {epochs = 4, lr = 5e-3, verbose = 0})
page("series", {title = "Series", model = series, history = history, data = scale:apply(rest):windows(shape)})

-- Classes: rising, falling and flat sequences.
local x, y = {}, {}
for i = 1, 90 do
  local kind, steps = i % 3 - 1, {}
  for t = 1, 10 + i % 7 do steps[t] = {kind * t / 10 + 0.1 * random:uniform()} end
  x[i], y[i] = steps, ({"falling", "flat", "rising"})[kind + 2]
end
local data = lstm.sequences{x = x, y = y}
local classes = lstm.model{input = 1, hidden = 12, output = {"falling", "flat", "rising"}}
history = classes:fit(data, {epochs = 10, lr = 1e-2, verbose = 0})
page("classes", {title = "Classes", model = classes, history = history, data = data})
