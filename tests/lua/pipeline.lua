-- Tests of the pipeline (host/lua/pipeline.lua): raw rows in, values in the columns' own units out, also of a loaded
-- model; forecasts that feed themselves; what is refused.

local lu = require "luaunit"
local lstm = require "lstm"
local pipeline = require "lstm.pipeline"

local fails = lu.assertErrorMsgContains
local path = os.tmpname()

-- A wave and a saw, in units that no network likes.
local function series(n)
  local list = {}
  for i = 1, n do list[i] = {20 + 10 * math.sin(i / 3), 100 * (i % 7)} end
  return lstm.table(lstm.array(list), {"temp", "load"})
end

-- A model of windows. shape: as for windows; scale: a function that makes a scaler, or nil.
local function learned(rows, shape, scale, epochs)
  local scaler = scale and scale(rows)
  local set = (scaler and scaler:apply(rows) or rows):windows(shape)
  local model = lstm.model{input = rows.width, hidden = 6, output = set.outputs, seed = 1}
  model:fit(set, {epochs = epochs or 1, verbose = 0, batch = 16, lr = 0.01, seed = 1})
  return model, scaler, set
end

local TestRows = {}

function TestRows.testRawInRawOut()
  local rows = series(60)
  local model, scaler, set = learned(rows, {look_back = 5, target = "temp"}, lstm.minmax, 60)
  local guess = model:predict(rows)
  lu.assertEquals(guess, scaler:undo(model:predict(set), "temp"))
  lu.assertEquals({guess:shape()}, {55, 1})
  local truth = rows:windows{look_back = 5, target = "temp"}:targets()
  lu.assertTrue(lstm.rmse(guess, truth) < 2)
end

function TestRows.testTravelsInTheFile()
  local rows = series(40)
  for _, scale in ipairs{lstm.minmax, lstm.zscore, false} do
    local model = learned(rows, {look_back = 4, target = "load", ahead = 2}, scale)
    assert(model:save(path))
    local loaded = assert(lstm.load(path))
    lu.assertEquals(loaded:predict(rows), model:predict(rows))
    lu.assertEquals(loaded:forecast(rows, 2).data, model:forecast(rows, 2).data)
    lu.assertEquals(loaded:bytes(), model:bytes())
    lu.assertEquals(loaded.pipeline.columns, {"temp", "load"})
    lu.assertEquals(loaded:clone():predict(rows), model:predict(rows))
  end
  os.remove(path)
end

function TestRows.testColumnsByName()
  local rows, list = series(40), {}
  local model = learned(rows, {look_back = 5, target = "temp"}, lstm.minmax)
  for i = 1, #rows do list[i] = {rows.data[i][2], 7 * i, rows.data[i][1]} end
  local wider = lstm.table(lstm.array(list), {"load", "other", "temp"})
  lu.assertEquals(model:predict(wider), model:predict(rows))
  lu.assertEquals(model:forecast(wider, 1).data, model:forecast(rows, 1).data)
  fails('the model reads the column "temp", which the rows do not have (they have load and other)', model.predict,
    model, wider:select{"load", "other"})
end

function TestRows.testSeveralTargetsAndSteps()
  local rows = series(40)
  local model, scaler, set = learned(rows, {look_back = 5, steps = 3, target = {"load", "temp"}}, lstm.zscore)
  local guess = model:predict(rows)
  lu.assertEquals({guess:shape()}, {33, 6})
  local inside = model:predict(set)
  lu.assertAlmostEquals(guess[4][3], inside[4][3] * scaler.factor.load + scaler.offset.load, 1e-3)
  lu.assertAlmostEquals(guess[4][6], inside[4][6] * scaler.factor.temp + scaler.offset.temp, 1e-3)
end

function TestRows.testTextsAreEncoded()
  local vocab = lstm.vocab "abc"
  local m = lstm.model{input = vocab, hidden = 3, output = vocab, seed = 1}
  lu.assertEquals(m:evaluate "abca", m:evaluate(vocab:encode "abca"))
  lu.assertEquals(m:predict "abca", m:predict(vocab:encode "abca"))
end

-- Errors in the target's own unit; the loss as in training.
function TestRows.testEvaluate()
  local rows = series(40)
  local shape = {look_back = 5, target = "temp"}
  local model, _, set = learned(rows, shape, lstm.minmax)
  local result = model:evaluate(rows, {metrics = {"rmse", "mae"}})
  lu.assertAlmostEquals(result.rmse, lstm.rmse(model:predict(rows), rows:windows(shape):targets()), 1e-4)
  lu.assertAlmostEquals(result.mae, lstm.metrics.mae(model:predict(rows), rows:windows(shape):targets()), 1e-4)
  lu.assertEquals(result.loss, model:evaluate(set).loss)
end

-- A column of ones and twos that was scaled to zeros and ones: its probability is none in the column's own unit.
function TestRows.testClassesHaveProbabilities()
  local list = {}
  for i = 1, 30 do list[i] = {i % 3 == 0 and 2 or 1} end
  local rows = lstm.table(lstm.array(list), {"state"})
  local scale = lstm.minmax(rows)
  local model = lstm.model{input = 1, hidden = 2, output = 1, loss = "binary_cross_entropy", init = "zero"}
  model:fit(scale:apply(rows):windows{look_back = 3, target = "state"}, {steps = 1, verbose = 0, seed = 1})
  model:tensor("head.bias", lstm.array{math.log(4)})
  local labels, p = model:classify(rows)
  lu.assertEquals(labels[1], 1)
  lu.assertAlmostEquals(p[1], 0.8, 0.01)
  lu.assertAlmostEquals(model:predict(rows)[1][1], 1.8, 0.01)
end

-- A call of fit that raises has changed nothing.
function TestRows.testRefusedFitKeepsThePipeline()
  local rows = series(40)
  local model, _, set = learned(rows, {look_back = 5, target = "temp"}, lstm.minmax)
  local before, threads = model.pipeline, require "lstm.core".threads()
  fails("fit: label_smoothing belongs to", model.fit, model, rows:windows{look_back = 9, target = "load"},
    {label_smoothing = 0.1, threads = threads + 1, verbose = 0})
  lu.assertIs(model.pipeline, before)
  lu.assertEquals(require "lstm.core".threads(), threads)
  model:evaluate(set)
end

-- Scaled rows stay as they are.
function TestRows.testScaledInScaledOut()
  local rows = series(40)
  local model, scaler, set = learned(rows, {look_back = 5, target = "temp"}, lstm.minmax)
  lu.assertEquals(model:predict(scaler:apply(rows)), model:predict(set))
end

local TestSequences = {}

local function raw_set()
  local x = {lstm.array{{100, 1}, {300, 2}}, lstm.array{{200, 5}}, lstm.array{{150, 3}, {180, 4}, {90, 9}}}
  return lstm.sequences{x = x, y = {"up", "down", "up"}}
end

-- What is raw is scaled, in whatever form it comes; what is scaled stays as it is.
function TestSequences.testRawIsScaled()
  local raw = raw_set()
  local scaler = lstm.zscore(raw)
  local set = scaler:apply(raw)
  local model = lstm.model{input = 2, hidden = 4, output = {"up", "down"}, seed = 1}
  model:fit(set, {epochs = 2, verbose = 0, batch = 2, seed = 1})
  assert(model:save(path))
  local loaded = assert(lstm.load(path))
  os.remove(path)
  lu.assertEquals(loaded.pipeline.scaler:tometa(), scaler:tometa())
  for _, m in ipairs{model, loaded} do
    local wanted = model:predict(set)
    lu.assertEquals(m:predict(raw), wanted)
    lu.assertEquals(m:predict{x = raw.x}, wanted)
    lu.assertEquals(m:predict(raw.x), wanted)
    lu.assertEquals(m:predict(raw.x[3]), wanted[3])
    lu.assertEquals(m:predict{{150, 3}, {180, 4}, {90, 9}}, wanted[3])
    lu.assertEquals({m:classify(raw.x[2])}, {m:label(wanted[2]:argmax()), wanted[2]:max()})
    lu.assertEquals(m:evaluate(raw).loss, model:evaluate(set).loss)
    lu.assertEquals(m:trace(raw.x[1]).h, m:trace(set:slice(1, 1)).h)
  end
end

function TestSequences.testRawModelsStayRaw()
  local raw = raw_set()
  local model = lstm.model{input = 2, hidden = 4, output = {"up", "down"}, seed = 1}
  model:fit(lstm.zscore(raw):apply(raw), {epochs = 1, verbose = 0})
  model:fit(raw, {epochs = 1, verbose = 0})
  lu.assertNil(model.pipeline)
  lu.assertEquals(model:predict(raw)[1], model:predict(raw.x[1]))
end

-- The encoder of a pair keeps the scaler.
function TestSequences.testPairs()
  local vocab, raw = lstm.vocab "ud\n", raw_set()
  local set = lstm.sequences{x = raw.x, y = {"u", "d", "ud"}}
  local scaler = lstm.minmax(set)
  local pair = lstm.seq2seq{
    encoder = lstm.model{input = 2, lstm.lstm(5), seed = 1},
    decoder = lstm.model{input = vocab, lstm.embedding(3), lstm.lstm(5), output = vocab, seed = 2},
  }
  pair:fit(scaler:apply(set), {epochs = 60, batch = 3, verbose = 0, lr = 0.05, seed = 1})
  assert(pair:save(path))
  local loaded = assert(lstm.load(path))
  for _, name in ipairs{".encoder", ".decoder"} do os.remove(path .. name) end
  for _, p in ipairs{pair, loaded} do
    lu.assertEquals(p:translate(set.x), {"u", "d", "ud"})
    lu.assertEquals(p:translate({{200, 5}}, {beam = 2}), "d")
    lu.assertEquals(p:evaluate(set).loss, pair:evaluate(scaler:apply(set)).loss)
  end
  lu.assertErrorMsgContains("fit: validation: the model learned from scaled values, these sequences are raw",
    pair.fit, pair, scaler:apply(set), {epochs = 1, verbose = 0, validation = set})
end

local TestForecast = {}

-- What the definition says: each row from the window that ends `ahead` rows before it.
local function by_hand(model, scaler, rows, n)
  local own = model.pipeline
  local list = scaler:apply(rows).data:totable()
  for _ = 1, n do
    local x = {}
    for i = #list - own.look_back - own.ahead + 2, #list - own.ahead + 1 do x[#x + 1] = list[i] end
    list[#list + 1] = model:state():forward(lstm.array(x)):totable()
  end
  local result = {}
  for i = 1, n do
    result[i] = {}
    for j, name in ipairs(own.columns) do
      result[i][j] = list[#rows + i][j] * scaler.factor[name] + scaler.offset[name]
    end
  end
  return result
end

function TestForecast.testFeedsItself()
  local rows = series(40)
  for ahead = 1, 3 do
    local model, scaler = learned(rows, {look_back = 5, ahead = ahead}, lstm.minmax)
    local future = model:forecast(rows, 8)
    lu.assertEquals(future.columns, {"temp", "load"})
    local wanted = by_hand(model, scaler, rows, 8)
    for i = 1, 8 do
      for j = 1, 2 do lu.assertAlmostEquals(future.data[i][j], wanted[i][j], 1e-3) end
    end
  end
end

-- The first row is what predict would say, had it the row after the last.
function TestForecast.testFirstRowIsAPrediction()
  local rows = series(40)
  local model = learned(rows, {look_back = 5, target = "temp"}, lstm.minmax)
  lu.assertEquals(model:forecast(rows:slice(1, 39), 1).data[1], model:predict(rows)[35])
end

function TestForecast.testSteps()
  local rows = series(40)
  local model = learned(rows, {look_back = 5, steps = 3}, lstm.minmax)
  local seven = model:forecast(rows, 7).data
  local three = model:forecast(rows, 3)
  lu.assertEquals(seven:slice(1, 3), three.data)
  local longer = lstm.table(lstm.frombytes(rows.data:bytes() .. three.data:bytes(), "float32", {43, 2}), rows.columns)
  local more = model:forecast(longer, 3).data
  for i = 1, 3 do
    for j = 1, 2 do lu.assertAlmostEquals(seven[3 + i][j], more[i][j], 1e-3) end
  end
end

-- The other columns' future decides from the second row on.
function TestForecast.testKnown()
  local rows = series(50)
  local model = learned(rows, {look_back = 5, target = "temp"}, lstm.minmax)
  local past, future = rows:slice(1, 40), rows:slice(41, 50)
  local first = model:forecast(past, 4, {known = future})
  lu.assertEquals(first.columns, {"temp"})
  lu.assertEquals(model:forecast(past, 4, {known = future:select{"load"}}).data, first.data)
  local other = model:forecast(past, 4, {known = rows:slice(1, 9)}).data
  lu.assertEquals(other[1], first.data[1])
  lu.assertNotEquals(other[2], first.data[2])
  local steps = learned(rows, {look_back = 5, ahead = 2, steps = 3, target = "temp"}, lstm.minmax)
  lu.assertEquals(#steps:forecast(past, 4), 4)                   -- from windows of rows that are there
end

local TestWrongUses = {}

-- What a user sees, behind the place in the script.
local function says(sentence, f, ...)
  local ok, message = pcall(f, ...)
  lu.assertFalse(ok)
  lu.assertEquals((message:gsub("^[^ ]-:%d+: ", "")), sentence)
end

function TestWrongUses.testPredict()
  local rows = series(40)
  local shape = {look_back = 5, target = "temp"}
  local model, scaler, set = learned(rows, shape, lstm.minmax)
  local plain = learned(rows, shape)
  says("predict: 3 rows are too few: the model looks back 5 rows, and windows with their targets need 6 " ..
    "(model:forecast(rows, n) goes on after the last row)", model.predict, model, rows:slice(1, 3))
  local raw = ": the model learned from scaled values, these windows are raw: give the raw table of rows itself, or " ..
    "windows of scale:apply(rows)"
  says("predict" .. raw, model.predict, model, rows:windows(shape))
  says("evaluate" .. raw, model.evaluate, model, rows:windows(shape))
  says("fit: validation: the model learned from scaled values, these windows are raw: give windows of " ..
    "scale:apply(rows)", model.fit, model, set, {epochs = 1, verbose = 0, validation = rows:windows(shape)})
  says("predict: the model learned from raw values, these windows are scaled", plain.predict, plain, set)
  says("predict: these windows are scaled by another scaler than those that the model learned from: " ..
    "model.pipeline.scaler", model.predict, model, lstm.zscore(rows):apply(rows):windows(shape))
  says("predict: these rows are scaled by another scaler than the model's: give the raw ones", model.predict, model,
    lstm.zscore(rows):apply(rows))
  says("predict: these rows are scaled already, but the model learned from raw values: give the raw ones",
    plain.predict, plain, scaler:apply(rows))
  says("predict: these windows have the columns load and temp, the model reads temp and load: rows:select{...} " ..
    "brings them in order", model.predict, model, scaler:apply(rows):select{"load", "temp"}:windows(shape))
  local scaled = scaler:apply(rows)
  says("evaluate: the targets of these windows are load, those that the model learned temp", model.evaluate, model,
    scaled:windows{look_back = 5, target = "load"})
  says("fit: validation: the targets of these windows are 3 ahead, those that the model learned 1 ahead", model.fit,
    model, set, {epochs = 1, verbose = 0, validation = scaled:windows{look_back = 5, target = "temp", ahead = 3}})
  model:evaluate(scaled:windows{look_back = 7, target = "temp", stride = 2})           -- these may differ
  says("predict: the model did not learn from windows, so it cannot tell how far to look back: use " ..
    "rows:windows{look_back = ...}", model.predict, lstm.model{input = 2, hidden = 2, output = 1}, rows)
end

function TestWrongUses.testForecast()
  local rows = series(40)
  local model, scaler = learned(rows, {look_back = 5, target = "temp"}, lstm.minmax)
  local function forecast(sentence, ...) says(sentence, model.forecast, model, ...) end
  forecast("forecast: a table of rows (as lstm.csv returns) is needed, got 3", 3)
  forecast("forecast: n must be a whole number of at least 1, got nil", rows)
  forecast("forecast: n must be a whole number of at least 1, got 0", rows, 0)
  forecast("forecast: the rows are scaled already: give the raw ones", scaler:apply(rows), 1)
  forecast("forecast: 4 rows are too few: the model looks back 5", rows:slice(1, 4), 1)
  forecast("forecast: the model reads load, which it does not foretell: it can go on for 1 row; for more give " ..
    "known = a table of their future", rows, 2)
  forecast("forecast: known has 2 rows, 3 are needed", rows, 4, {known = rows:slice(1, 2)})
  forecast("forecast: the rows of known are scaled: give the raw ones", rows, 2, {known = scaler:apply(rows)})
  forecast("forecast: known must be a table of rows (as lstm.csv returns), got a table", rows, 2, {known = {}})
  forecast('forecast: unknown option "know", did you mean "known"? (there is known)', rows, 2, {know = rows})
  forecast('forecast: the model reads the column "load", which the rows do not have (they have temp)',
    rows:select{"temp"}, 1)
end

-- Whatever a file says, it is this model's pipeline or none.
function TestWrongUses.testDamagedFile()
  local rows = series(30)
  local model = learned(rows, {look_back = 5, target = "temp"}, lstm.minmax)
  local text = pipeline.tometa(model.pipeline)
  lu.assertNotNil(pipeline.frommeta(text, 2, 1))
  lu.assertNil(pipeline.frommeta(text, 3, 1))
  lu.assertNil(pipeline.frommeta(text, 2, 2))
  for from, to in pairs{["look_back=@number 5"] = "look_back=@number 0", ["@table"] = "@tab", load = "loud"} do
    local damaged, n = text:gsub(from, to, 1)
    lu.assertEquals(n, 1)
    lu.assertNil(pipeline.frommeta(damaged, 2, 1))
  end
  local encode = require "lstm.meta".encode
  local vocab, scaler = lstm.vocab "ab", lstm.minmax(rows)
  for _, value in ipairs{vocab, scaler, 5, "x", {}, {scaler = vocab}, {scaler = {undo = "x", apply = "y"}},
    {columns = vocab, targets = {"a"}, look_back = 1, ahead = 1, steps = 1},
    {columns = {"a", "b"}, targets = scaler, look_back = 1, ahead = 1, steps = 1},
    {columns = {"a", "b"}, targets = {"a"}, look_back = 1, ahead = 1, steps = 1.5},
    {columns = {"a", "b"}, targets = {"a"}, look_back = "1", ahead = 1, steps = 1},
    {columns = {"a", 2}, targets = {"a"}, look_back = 1, ahead = 1, steps = 1},
    {columns = {"a", "b"}, targets = {"a"}, look_back = 1, ahead = 1}} do
    lu.assertNil(pipeline.frommeta(encode(value, "x"), 2, 1))
  end
  lu.assertNotNil(pipeline.frommeta(encode({scaler = scaler}, "x"), 9, 9))
  local strings = model:strings()
  strings.pipeline = "@table\nx"
  assert(model.core:save(path, strings))
  local none, message, status = lstm.load(path)
  os.remove(path)
  lu.assertNil(none)
  lu.assertEquals({message, status}, {path .. ": the pipeline is damaged", "format"})
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestRows", TestRows},
  {"TestSequences", TestSequences},
  {"TestForecast", TestForecast},
  {"TestWrongUses", TestWrongUses},
}, true)
