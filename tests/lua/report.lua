-- The report: sections for what is given, text that cannot break the page, values that can be read back, the ranking.
-- The page in a browser: tests/report.
local lu = require "luaunit"
local lstm = require "lstm"
local cells = require "lstm.cells"

-- A text model of one bidirectional and one ordinary layer, untrained: what is shown is true of any weights.
local TEXT = 'He said "yes" (twice).\nThen 42 <b>tags</b> & </script>\n'
local vocab = lstm.vocab(TEXT)
local model = lstm.model{input = vocab, seed = 1, lstm.embedding(4), lstm.lstm(6), lstm.gru(3), output = vocab}

-- The text of the page's script elements of a class or id.
local function script(page, attribute)
  local list = {}
  for text in page:gmatch("<script type=\"[%w/]+\" " .. attribute .. ">(.-)</script>") do list[#list + 1] = text end
  return list
end

local function count(text, what) return select(2, text:gsub(what, "")) end

local TestPage = {}

function TestPage.testSections()
  local history = lstm.history.new()
  for i = 1, 3 do history:add{epoch = i, loss = 1 / i} end
  local page = lstm.report{title = "A & B", model = model, history = history, text = TEXT,
    samples = {{step = 5, text = "<i>sample"}}}
  for _, part in ipairs{"<title>A &amp; B</title>", ">Model<", ">Curves<", ">Samples<", ">Cells<", ">Gate saturation<",
    ">step 5<", "&lt;i&gt;sample", "No gate of any cell is almost open"} do lu.assertStrContains(page, part) end
  lu.assertNotStrContains(page, "input gate")
  local open = model:clone()
  open:tensor("rnn.bias_ih_l0", open:tensor "rnn.bias_ih_l0" + 9)
  page = lstm.report{model = open, text = TEXT}
  for _, part in ipairs{"input gate", "update gate", "mostly open"} do lu.assertStrContains(page, part) end
  page = lstm.report{history = history}
  lu.assertNotStrContains(page, ">Cells<")
  lu.assertNotStrContains(page, ">Model<")
end

-- Elements open and close in order; nothing is loaded from anywhere.
function TestPage.testWellFormedAndAlone()
  local page = lstm.report{title = "</title><script>", model = model, text = TEXT, samples = {{text = "\255\0</pre>"}}}
  lu.assertEquals(count(page, "<script"), count(page, "</script>"))
  lu.assertEquals(count(page, "<script"), 4)                         -- two layers, the data, the page's own
  lu.assertEquals(count(page, "<pre"), count(page, "</pre>"))
  lu.assertEquals(count(page, "<section"), count(page, "</section>"))
  lu.assertNotNil(utf8.len(page))
  local links = page:gsub("http://www.w3.org/2000/svg", "")
  for _, word in ipairs{"https?:", "%ssrc=", "%shref=", "@import", "url%("} do lu.assertNil(links:find(word), word) end
end

function TestPage.testEveryByte()
  local all = {}
  for byte = 0, 255 do all[byte + 1] = string.char(byte) end
  local text = table.concat(all) .. "</script><!--<script>\\\"'`"
  local v = lstm.vocab(text)
  local m = lstm.model{input = v, lstm.embedding(2), lstm.lstm(2), output = v, seed = 1}
  local page = lstm.report{model = m, text = text}
  lu.assertEquals(count(page, "<script"), 3)
  lu.assertEquals(count(page, "<script"), count(page, "</script>"))
  lu.assertNil(page:find "[%z\1-\8\11\12\14-\31\127]")
  lu.assertNotNil(utf8.len(page))
  lu.assertEquals(count(page:match '<pre id="text".-</pre>', "<i class"), #text)
end

-- Each cell has one character for each step, and the level is that of tanh(c).
function TestPage.testValues()
  local page = lstm.report{model = model, text = TEXT}
  local packed = script(page, 'class="cells"')
  lu.assertEquals({#packed[1], #packed[2]}, {6 * #TEXT, 3 * #TEXT})
  local c, h = model:trace(TEXT, {layer = 2}).c, model:trace(TEXT, {layer = 3}).h
  for _, t in ipairs{1, 7, #TEXT} do
    local x = c[t][5]
    local tanh = (math.exp(x) - math.exp(-x)) / (math.exp(x) + math.exp(-x))
    lu.assertAlmostEquals((packed[1]:byte(4 * #TEXT + t) - 95) / 31, tanh, 0.5 / 31 + 1e-6)
    lu.assertAlmostEquals((packed[2]:byte(2 * #TEXT + t) - 95) / 31, h[t][3], 0.5 / 31 + 1e-6)
  end
end

function TestPage.testExpectations()
  local page = lstm.report{model = model, text = TEXT, top = 3}
  local data = script(page, 'id="data"')[1]
  local best, losses = {}, {}
  for n in data:match '"best":%[(.-)%]':gmatch "%d+" do best[#best + 1] = tonumber(n) end
  for n in data:match '"losses":%[(.-)%]':gmatch "%d+" do losses[#losses + 1] = tonumber(n) end
  lu.assertEquals({#best, #losses}, {2 * 3 * #TEXT, #TEXT - 1})
  local tokens = vocab:encode(TEXT)
  local p = model:predict(tokens)
  local id, value = p[10]:argmax()
  lu.assertEquals(best[9 * 6 + 1], id - 1)
  lu.assertAlmostEquals(best[9 * 6 + 2] / 1000, value or p[10][id], 0.0006)
  lu.assertAlmostEquals(losses[10] / 100, -math.log(p[10][tokens.ids[11] + 1]), 0.006)
end

function TestPage.testLongTextsAreCut()
  local page = lstm.report{model = model, text = TEXT:rep(100), length = 50}
  lu.assertStrContains(page, "The first 50 bytes")
  lu.assertEquals(count(page:match '<pre id="text".-</pre>', "<i class"), 50)
end

-- 2,000 symbols and 2 x 256 cells: about a megabyte.
function TestPage.testSize()
  local big = lstm.model{input = vocab, lstm.embedding(4), lstm.lstm(256), lstm.lstm(256), output = vocab, seed = 1}
  local page = lstm.report{model = big, text = TEXT:rep(40)}
  lu.assertTrue(#page < 1300000, #page)
end

function TestPage.testFiles()
  local path = os.tmpname()
  lu.assertTrue(lstm.report(path, {model = model}))
  lu.assertStrContains(assert(lstm.readfile(path)), "<!DOCTYPE html>")
  os.remove(path)
  local done, message = lstm.report("no/such/folder/a.html", {model = model})
  lu.assertNil(done)
  lu.assertStrContains(message, "no/such/folder/a.html")
end

function TestPage.testCells()
  local page = lstm.plot.cells(model, TEXT)
  lu.assertStrContains(page, ">Cells<")
  lu.assertNotStrContains(page, ">Model<")
  lu.assertNotStrContains(page, ">Gate saturation<")
end

local TestOthers = {}

function TestOthers.testBothDirections()
  local layer = lstm.lstm{3, bidirectional = true}
  local both = lstm.model{input = vocab, lstm.embedding(4), layer, output = vocab, seed = 1}
  local page = lstm.report{model = both, text = TEXT}
  lu.assertStrContains(page, "layer 2, forward")
  lu.assertStrContains(page, "layer 2, backward")
end

function TestOthers.testWords()
  local words = lstm.vocab("the cat sat on the mat\nthe end", "words")
  local m = lstm.model{input = words, lstm.embedding(4), lstm.lstm(3), output = words, seed = 1}
  lu.assertStrContains(lstm.report{model = m, text = "the cat\nthe dog"}, "5 words")
end

function TestOthers.testSeries()
  local values = {}
  for i = 1, 60 do values[i] = {math.sin(i / 5), i} end
  local rows = lstm.table(lstm.array(values), {"wave", "time"})
  local scale = lstm.minmax(rows)
  local set = scale:apply(rows):windows{look_back = 8, target = "wave"}
  local m = lstm.model{input = 2, hidden = 5, output = 1, seed = 1}
  m:fit(set, {epochs = 1, verbose = 0})
  local page = lstm.report{model = m, data = set, sequence = 3}
  for _, part in ipairs{">Forecast<", "persistence (RMSE", "the 8 steps of sequence 3", 'id="heat"', '"wave"'} do
    lu.assertStrContains(page, part)
  end
  local packed = script(page, 'class="cells"')
  lu.assertEquals(#packed[1], 5 * 8)
  lu.assertStrContains(lstm.report{model = m, data = rows}, "persistence (RMSE")       -- raw rows, by the pipeline
  local wider = rows:derive("zero", function(r) return r:column("time") * 0 end):select{"zero", "time", "wave"}
  lu.assertStrContains(lstm.report{model = m, data = wider}, '"names":["wave","time"]')
end

function TestOthers.testClasses()
  local data = lstm.sequences{x = {{1, 2, 3}, {3, 2}, {1, 1, 1, 1}}, y = {"up", "down", "<flat>"}}
  local m = lstm.model{input = 1, hidden = 4, output = {"down", "up", "<flat>"}, seed = 1}
  local page = lstm.report{model = m, data = data}
  lu.assertStrContains(page, ">Confusion<")
  lu.assertStrContains(page, "&lt;flat&gt;")
end

-- Sequences of a vocabulary stand one after another, a line each, traced each from rest.
function TestOthers.testSequencesOfWords()
  local words = lstm.vocab("good bad film the", "words")
  local judge = lstm.model{input = words, lstm.embedding(4), lstm.lstm(3), output = {"yes", "no"}, seed = 1}
  local data = lstm.sequences{x = {"good film", "the bad film", "bad"}, y = {"yes", "no", "no"}}
  local page = lstm.report{model = judge, data = data}
  lu.assertStrContains(page, "3 sequences, 6 words")
  local text = page:match('<pre id="text"[^>]*>(.-)</pre>'):gsub("<.->", "")
  lu.assertEquals(text, "good film\nthe bad film\nbad ")
  local packed, c = script(page, 'class="cells"')[1], judge:trace("the bad film", {layer = 2}).c
  local x = math.exp(2 * c[2][3])
  lu.assertAlmostEquals((packed:byte(2 * 6 + 4) - 95) / 31, (x - 1) / (x + 1), 0.5 / 31 + 1e-6)
  lu.assertStrContains(lstm.report{model = judge, data = data, sequence = 2, length = 3}, "1 sequence, 3 words")
end

-- What else a model may read and give: nothing of it raises.
function TestOthers.testOtherShapes()
  local many = lstm.model{input = 1, hidden = 3, output = 2, read = "all"}
  local layers = {input = 1, output = 1, read = "last"}
  for i = 1, 8 do layers[i] = lstm.lstm(2) end
  local words = lstm.vocab("good bad film", "words")
  local judge = lstm.model{input = words, lstm.embedding(4), lstm.lstm{3, bidirectional = true}, output = {"yes", "no"}}
  local rows = lstm.table(lstm.array{1, 2, 3, 4, 5, 6, 7, 8, 9}, {"a"})
  for _, opts in ipairs{
    {model = many, data = lstm.zeros{3, 5, 1}}, {model = lstm.model(layers), data = lstm.zeros{3, 5, 1}},
    {model = judge, text = "good film bad"}, {model = model, text = "H"},
    {model = judge, data = lstm.sequences{x = {"good film", "bad"}, y = {"yes", "no"}}},
    {model = lstm.model{input = 1, hidden = 3, output = 3}, data = rows:windows{look_back = 3, steps = 3}},
    {forecast = {truth = {1, 2}, guess = {2, 3}}}, {confusion = {labels = {"a"}, counts = {{1}}}},
  } do
    local page = lstm.report(opts)
    lu.assertEquals(count(page, "<section"), count(page, "</section>"))
    if opts.data or opts.text then lu.assertStrContains(page, ">Cells<") end
  end
end

function TestOthers.testPair()
  local function network() return lstm.model{input = vocab, hidden = 3, output = vocab, seed = 1} end
  local pair = lstm.seq2seq{encoder = network(), decoder = network()}
  lu.assertStrContains(lstm.report{model = pair}, ">Model<")
  lu.assertErrorMsgContains("there is only a summary", lstm.report, {model = pair, text = "He"})
end

local TestRanking = {}

-- A layer whose cells are these lists.
local function layer_of(lists)
  return {name = "layer 1", size = #lists, values = function(j) return lists[j] end}
end

function TestRanking.testFindsWhatIsThere()
  local text, symbols = 'ab "cd" EF\n(12) g\n"h"', {}
  for c in text:gmatch "." do symbols[#symbols + 1] = c end
  local features = cells.features(symbols)
  for _, feature in ipairs(features) do
    local wanted, noise = {}, {}
    for t, value in ipairs(feature.values) do
      wanted[t], noise[t] = -0.01 * value, (t * 7919 % 13) / 13 - 0.5
    end
    local ranking = cells.rank({layer_of{noise, wanted}}, {feature}, 3)
    lu.assertEquals(ranking[1][1].cell, 2, feature.name)
    lu.assertAlmostEquals(ranking[1][1].r, -1, 1e-9)
  end
  local by_name = {}
  for _, feature in ipairs(features) do by_name[feature.name] = table.concat(feature.values, "") end
  lu.assertEquals(by_name["inside quotes"],   "0001110000000000001" .. "10")
  lu.assertEquals(by_name["inside brackets"], "000000000001110000000")
  lu.assertEquals(by_name["digits"],          "000000000000110000000")
  lu.assertEquals(by_name["capital letters"], "000000001100000000000")
end

function TestRanking.testOwnFeatures()
  local page = lstm.report{model = model, text = TEXT, features = {["the letter e"] = function(c) return c == "e" end}}
  lu.assertStrContains(page, "<th>the letter e</th>")
end

function TestRanking.testConstantsAreLeftOut()
  lu.assertEquals(cells.rank({layer_of{{1, 1, 1}, {0, 1, 0}}}, {{name = "same", values = {2, 2, 2}}}, 3), {})
end

local TestWrongUses = {}

-- Runs a line of a user's script; it must fail there with exactly this sentence.
local function fails(line, sentence)
  local start = "local lstm, model, series = ...\nlocal _ = "
  local fine, message = pcall(assert(load(start .. line .. "\nreturn _", "=user.lua")), lstm, model,
    lstm.model{input = 1, hidden = 2, output = 1, seed = 1})
  lu.assertFalse(fine, line)
  lu.assertEquals(message, "user.lua:2: " .. sentence)
end

function TestWrongUses.test()
  fails("lstm.report('a.html', {})", "report: give a model, a history, samples, a forecast or a confusion")
  fails("lstm.report{modle = model}", 'report: unknown option "modle", did you mean "model"? (there are confusion, ' ..
    "data, features, forecast, history, length, log, model, results, samples, sequence, text, title and top)")
  fails("lstm.report{model = {}}", "report: model must be a model, got a table")
  fails("lstm.report{samples = {}, text = 'abc'}", "report: text and data are shown to a model: give model = ...")
  fails("lstm.report{model = model, history = {}}",
    "report: history must be what fit returned, with at least one row")
  fails("lstm.report{model = series, text = 'abc'}",
    "report: text needs a model that reads a vocabulary; for series and sets give data")
  fails("lstm.report{model = model, text = ''}", "report: the text is empty")
  fails("lstm.report{model = model, text = 12}",
    "report: text must be a string or tokens of vocab:encode, got 12")
  fails("lstm.report{model = model, samples = {'abc'}}", "report: sample 1 must be {step = number, text = string}")
  fails("lstm.report{model = model, text = 'yes', top = 0}",
    'report: option "top" must be a whole number from 1 to 20, got 0')
  fails("lstm.report{model = model, text = 'yes', features = {word = function() return 'a' end}}",
    'report: the feature "word" must give numbers, true or false, got a string')
  fails("lstm.report{model = series, data = lstm.zeros{1, 4, 1}, sequence = 3}",
    "report: sequence 3 is not there, the data have 1")
  fails("lstm.plot.cells(model)", "plot.cells: give a text")
  fails("lstm.plot.cells(model, 'Zebra')",
    'report: text: "Z" at line 1, column 1 (byte 1) is not in the vocabulary of 29 bytes')
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestPage", TestPage},
  {"TestOthers", TestOthers},
  {"TestRanking", TestRanking},
  {"TestWrongUses", TestWrongUses},
}, true)
