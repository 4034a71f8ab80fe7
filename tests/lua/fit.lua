-- Tests of training (host/lua/fit.lua): texts, windows, arrays, callbacks, checkpoints, interrupts, diverging runs.

local lu = require "luaunit"
local lstm = require "lstm"
local core = require "lstm.core"

local fails = lu.assertErrorMsgContains
local path = os.tmpname()
local nan = 0 / 0

local text = ("the quick brown fox jumps over the lazy dog. "):rep(60)
local vocab = lstm.vocab(text)
local train, validation = vocab:encode(text):split(0.8)

local function text_model(options)
  local m = {input = vocab, lstm.embedding(8), lstm.lstm(12), output = vocab, seed = 1}
  for key, value in pairs(options or {}) do m[key] = value end
  return lstm.model(m)
end

local function quiet(options)
  local result = {verbose = 0, seed = 1, seq = 8, batch = 4, lr = 0.01, validation = validation, validate_every = 20}
  for key, value in pairs(options or {}) do result[key] = value end
  return result
end

local function weights(m)
  local all = {}
  for i, name in ipairs(m:tensors()) do all[i] = m:tensor(name):bytes() end
  return table.concat(all)
end

local function sine(n)
  local values = {}
  for i = 1, n do values[i] = {math.sin(i / 5) / 2 + 0.5} end
  return lstm.table(lstm.array(values), {"y"})
end

local TestText = {}

function TestText.testLearns()
  local m = text_model()
  local before = m:evaluate(validation).loss
  local history = assert(m:fit(train, quiet{steps = 200}))
  lu.assertAlmostEquals(before, math.log(#vocab), 0.3)
  lu.assertTrue(history[#history].val_loss < before / 2)
  lu.assertEquals(#history, 10)
  lu.assertEquals({history[1].step, history[10].step}, {20, 200})
  lu.assertEquals(history.stopped, "finished")
  lu.assertAlmostEquals(m:evaluate(validation).loss, history[history.best].val_loss, 1e-6)
  lu.assertTrue(history[10].accuracy > 0.5)
end

function TestText.testSameSeedSameBits()
  local reference
  for _, threads in ipairs{1, 2, 3, 7} do
    local m = text_model()
    assert(m:fit(train, quiet{steps = 30, threads = threads}))
    reference = reference or weights(m)
    lu.assertEquals(weights(m), reference)
  end
  local other = text_model()
  assert(other:fit(train, quiet{steps = 30, seed = 2, lr = 0.02}))
  lu.assertNotEquals(weights(other), reference)
end

function TestText.testValidationDoesNotTouchTheRun()
  local a, b = text_model(), text_model()
  local seen = {}
  local function record(m) return function() seen[m] = weights(m) end end
  assert(a:fit(train, quiet{steps = 40, on_step = record(a)}))
  local options = quiet{steps = 40, on_step = record(b)}
  options.validation = nil
  assert(b:fit(train, options))
  lu.assertEquals(seen[a], seen[b])
end

function TestText.testStateIsCarriedAndResetAtTheWrap()
  -- With a rate of nearly zero the loss of a window depends on the carried state alone: it repeats from epoch to epoch.
  local m, losses = text_model(), {}
  local options = quiet{epochs = 2, lr = 1e-12, on_step = function(info) losses[info.step] = info.loss end}
  options.validation = nil
  assert(m:fit(train, options))
  local half = #losses / 2
  for i = 1, half do lu.assertAlmostEquals(losses[i], losses[i + half], 1e-5) end
end

function TestText.testTooShort()
  local m = text_model()
  fails("10 tokens are too few for batch = 4 streams of seq = 8: at least 36 are needed", m.fit, m,
    vocab:encode(text:sub(1, 10)), quiet{steps = 1})
end

local TestSets = {}

function TestSets.testWindows()
  local m = lstm.model{input = 1, hidden = 12, output = 1, seed = 1}
  local rows, rest = sine(300):split(0.8)
  local set = rows:windows{look_back = 6, target = "y"}
  local history = assert(m:fit(set, {epochs = 15, batch = 16, lr = 0.01, seed = 1, verbose = 0}))
  lu.assertEquals(#history, 15)
  lu.assertEquals(history[15].step, 15 * math.ceil(#set / 16))
  lu.assertNil(history[1].val_loss)
  local test = rest:windows{look_back = 6, target = "y"}
  lu.assertTrue(lstm.rmse(m:predict(test), test:targets()) < 0.05)
end

function TestSets.testClasses()
  local n, rng = 60, lstm.rng(4)
  local x, y = lstm.zeros{n, 5, 1}, {}
  for i = 1, n do
    local up = i % 2 == 0
    y[i] = up and "up" or "down"
    for t = 1, 5 do x[i][t] = {(up and t or -t) / 5 + rng:uniform() * 0.1} end
  end
  local m = lstm.model{input = 1, hidden = 6, output = {"up", "down"}, seed = 1}
  assert(m:fit({x = x, y = y}, {epochs = 30, batch = 8, lr = 0.02, verbose = 0, seed = 1}))
  lu.assertEquals(m:evaluate({x = x, y = y}).accuracy, 1)
  local state = m:state()
  for t = 1, 5 do state:step(t / 5) end
  lu.assertEquals((state:best()), "up")
end

function TestSets.testTargetsAtEveryStep()
  local x = lstm.zeros{12, 4, 1}
  for i = 1, 12 do x[i] = {{i / 12}, {0}, {-i / 12}, {0.5}} end
  local m = lstm.model{input = 1, hidden = 6, output = 1, read = "all", seed = 1}
  local history = assert(m:fit({x = x, y = x * 0.5}, {epochs = 60, batch = 5, lr = 0.02, verbose = 0, seed = 1}))
  lu.assertTrue(history[#history].loss < history[1].loss / 5)
end

function TestSets.testShuffleAndSmallLastBatch()
  local x = lstm.zeros{7, 2, 1}
  for i = 1, 7 do x[i] = {{i}, {i}} end
  local function sizes(shuffle)
    local m, list = lstm.model{input = 1, hidden = 2, output = 1, seed = 1}, {}
    assert(m:fit({x = x, y = lstm.zeros{7, 1}}, {
      epochs = 2, batch = 3, shuffle = shuffle, verbose = 0, seed = 1, lr = 1e-9,
      on_step = function(info) list[#list + 1] = info.loss end}))
    return list
  end
  local plain, mixed = sizes(false), sizes(true)
  lu.assertEquals(#plain, 6)
  for i = 1, 3 do lu.assertAlmostEquals(plain[i], plain[i + 3], 1e-6) end
  lu.assertNotEquals({mixed[1], mixed[2], mixed[3]}, {mixed[4], mixed[5], mixed[6]})
end

function TestSets.testMismatches()
  local m = lstm.model{input = 2, hidden = 2, output = 1}
  fails("the model takes 2 inputs, the windows have 1 column", m.fit, m, sine(20):windows{look_back = 3}, {})
  fails("the model takes numbers, not tokens", m.fit, m, train, {})
  fails("use rows:windows", m.fit, m, sine(20), {})
  fails("the set has no targets y", m.fit, m, {x = lstm.zeros{3, 2, 2}}, {})
  fails("the training set is empty", m.fit, m, {x = lstm.zeros{0, 2, 2}, y = lstm.zeros{0, 1}}, {})
  local one = lstm.model{input = 1, hidden = 2, output = 1}
  fails("seq = 5, but the sequences have 3 steps", one.fit, one, sine(20):windows{look_back = 3}, {seq = 5})
  local labels = lstm.model{input = 1, hidden = 2, output = {"a", "b"}}
  fails("is not one of the model's 2 classes", labels.fit, labels, {x = lstm.zeros{1, 2, 1}, y = {"c"}}, {})
  fails("is not one of the model's 2 classes", labels.fit, labels, {x = lstm.zeros{1, 2, 1}, y = {0}}, {})
end

function TestSets.testBinaryTargetsOutsideTheirRange()
  local m = lstm.model{input = 1, hidden = 2, output = 1, loss = "binary_cross_entropy"}
  local set = {x = lstm.zeros{4, 3, 1}, y = lstm.array{{0}, {1}, {2}, {0.5}}}
  for _, method in ipairs{"fit", "evaluate"} do
    local ok, message = pcall(function() m[method](m, set, method == "fit" and {verbose = 0} or nil) end)
    lu.assertFalse(ok)
    lu.assertStrMatches(message, "^tests/lua/fit.lua:%d+: .*target.*0.*1.*$")
  end
end

-- A smaller last batch counts as what it is: the loss of an epoch is the mean over its targets.
function TestSets.testLossOfAnEpoch()
  local x, y = lstm.zeros{5, 2, 1}, lstm.array{{1}, {1}, {1}, {1}, {11}}
  for _, accumulate in ipairs{1, 2} do
    local m = lstm.model{input = 1, hidden = 2, output = 1, init = "zero"}
    local h = m:fit({x = x, y = y}, {batch = 2, epochs = 1, shuffle = false, optimizer = "sgd", lr = 1e-20, verbose = 0,
      accumulate = accumulate})
    lu.assertAlmostEquals(h[1].loss, (4 * 1 + 121) / 5, 1e-5)
  end
end

local TestOptions = {}

function TestOptions.testMistakes()
  local m = text_model()
  fails('fit: unknown option "validaton", did you mean "validation"?', m.fit, m, train, {validaton = 1})
  fails('option "lr" must be a number above 0', m.fit, m, train, {lr = -1})
  fails('option "optimizer" must be one of', m.fit, m, train, {optimizer = "adm"})
  fails("give steps or epochs, not both", m.fit, m, train, {steps = 1, epochs = 1})
  fails("resume = true needs checkpoint", m.fit, m, train, {resume = true})
  fails('unknown monitor "accurracy"', m.fit, m, train, quiet{steps = 1, monitor = "accurracy"})
end

-- What only the first look would find out is refused before weights change.
function TestOptions.testValidationAndMonitorAreCheckedFirst()
  local m = lstm.model{input = 1, hidden = 3, output = 1}
  local set, before = sine(30):windows{look_back = 5}, weights(m)
  local function refused(message, options)
    options.epochs, options.verbose = 1, 0
    local ok, got = pcall(function() m:fit(set, options) end)
    lu.assertFalse(ok)
    lu.assertStrContains(got, message)
    lu.assertStrMatches(got, "^tests/lua/fit.lua:%d+: .*$")
    lu.assertEquals(weights(m), before)
  end
  refused("fit: validation: x has 2 sequences, y has 1", {validation = {x = {{1, 2}, {3, 4}}, y = {1}}})
  refused("fit: validation: windows, tokens, sequences or", {validation = {1, 2}})
  refused("fit: validation: array: number expected, got string", {validation = {x = {{1, 2}}, y = {"a"}}})
  refused('fit: unknown monitor "val_los", did you mean "val_loss"?', {monitor = "val_los"})
  refused('fit: monitor = "val_loss" needs validation data', {monitor = "val_loss"})
  refused('fit: monitor = "accuracy" does not fit the loss "mse"', {monitor = "accuracy", validation = set})
end

function TestOptions.testAccuracyIsTheBetterTheLarger()
  local history = assert(text_model():fit(train, quiet{steps = 40, monitor = "accuracy"}))
  lu.assertEquals(history.mode, "max")
  for _, row in ipairs(history) do lu.assertTrue(row.accuracy <= history.best_value) end
end

function TestOptions.testOnEpochStops()
  local m, rows = text_model(), {}
  local history = assert(m:fit(train, quiet{steps = 100, on_epoch = function(row, all, trainer)
    rows[#rows + 1] = row
    lu.assertEquals(all[#all], row)
    lu.assertEquals(trainer:steps(), row.step)
    return #rows < 2
  end}))
  lu.assertEquals({#rows, history.stopped}, {2, "on_epoch"})
end

function TestOptions.testOnStepStopsAndTheLastStepsCount()
  local m = text_model()
  local history = assert(m:fit(train, quiet{steps = 100, on_step = function(info) return info.step < 35 end}))
  lu.assertEquals({history.stopped, #history, history[#history].step}, {"on_step", 2, 35})
end

function TestOptions.testSeconds()
  local m = text_model()
  local history = assert(m:fit(train, quiet{steps = 1000000, seconds = 0.05}))
  lu.assertEquals(history.stopped, "seconds")
end

function TestOptions.testPatienceAndBestWeights()
  local m, best = text_model(), nil
  local history = assert(m:fit(train, quiet{steps = 400, patience = 2, lr = 0.3, validate_every = 10,
    on_epoch = function(row, all) if all[all.best] == row then best = weights(m) end end}))
  lu.assertEquals(history.stopped, "patience")
  lu.assertEquals(#history, history.best + 2)
  lu.assertEquals(weights(m), best)
end

-- Large inputs that nothing scaled: a line, once for each model, and none with verbose = 0.
function TestOptions.testTellsOfUnscaledInputs()
  local said, print_error = {}, core.eprint
  core.eprint = function(s) said[#said + 1] = s end
  local rows = {}
  for i = 1, 20 do rows[i] = {i / 20, 500 + i} end
  rows = lstm.table(rows, {"share", "sales"})
  local function fit(set, verbose, m)
    m = m or lstm.model{input = 2, hidden = 2, output = 2, seed = 1}
    said = {}
    assert(m:fit(set, {epochs = 1, verbose = verbose}))
    return table.concat(said), m
  end
  local windows = rows:windows{look_back = 3}
  local silent = fit(windows, 0)
  local first, m = fit(windows, 1)
  local again, scaled = fit(windows, 1, m), fit(lstm.minmax(rows):apply(rows):windows{look_back = 3}, 1)
  local arrays = fit({x = lstm.zeros{6, 4, 2} - 30, y = lstm.zeros{6, 2}}, 1)
  local small = fit({x = lstm.zeros{6, 4, 2} + 2, y = lstm.zeros{6, 2}}, 1)
  core.eprint = print_error
  local sentence = "fit: the inputs are not scaled: %s, and models learn best near 0..1; help \"minmax\" shows how\n"
  lu.assertStrContains(first, sentence:format('column "sales" is about 511'))
  lu.assertStrContains(arrays, sentence:format("input 1 is about 30"))
  for _, line in ipairs{silent, again, scaled, small} do lu.assertNotStrContains(line, "not scaled") end
end

-- With verbose > 0 the run says whose weights the model has in the end; the history says what "best" means.
function TestOptions.testTellsWhichWeightsCameBack()
  local said, print_error = {}, core.eprint
  core.eprint = function(s) said[#said + 1] = s end
  local history = assert(text_model():fit(train, quiet{steps = 400, patience = 2, lr = 0.3, validate_every = 10,
    verbose = 1}))
  local row = history[history.best]
  local best = ("the best weights are back, those of step %d (epoch %d, val_loss %.4g)\n"):format(row.step, row.epoch,
    row.val_loss)
  lu.assertStrContains(table.concat(said), best)
  lu.assertNotStrContains(tostring(history), "training loss")
  said = {}
  assert(text_model():fit(train, quiet{steps = 400, patience = 2, lr = 0.3, validate_every = 10, verbose = 1,
    on_epoch = function(_, _, trainer) trainer:keep_best() end}))
  lu.assertNotStrContains(table.concat(said), "best weights")
  said = {}
  history = assert(text_model():fit(train, quiet{steps = 40, verbose = 1}))
  core.eprint = print_error
  lu.assertEquals(history.best, #history)
  lu.assertNotStrContains(table.concat(said), "best weights")
  local options = quiet{steps = 40}
  options.validation = nil
  history = assert(text_model():fit(train, options))
  lu.assertStrContains(tostring(history), "\n* best by training loss (no validation)\n")
end

function TestOptions.testErrorsInCallbacksPass()
  local m = text_model()
  fails("boom", m.fit, m, train, quiet{steps = 100, on_step = function(info)
    if info.step == 45 then error "boom" end
  end})
  lu.assertTrue(m:evaluate(validation).loss < math.log(#vocab))   -- the best weights are back
  lu.assertFalse(core.hold(false))                                -- and Ctrl-C works again
end

-- What was measured before on_epoch failed is kept.
function TestOptions.testErrorsInOnEpochLeaveTheCheckpoint()
  os.remove(path)
  fails("boom", text_model().fit, text_model(), train, quiet{steps = 100, checkpoint = path, on_epoch = function(row)
    if row.step == 40 then error "boom" end
  end})
  lu.assertEquals(assert(lstm.load(path)).core:meta()["fit.position"], "40")
  assert(text_model():fit(train, quiet{steps = 60, resume = path}))
end

function TestOptions.testCoroutines()
  local m, steps = text_model(), 0
  local run = coroutine.wrap(function()
    assert(m:fit(train, quiet{steps = 10, on_step = function() coroutine.yield(true) end}))
    return false
  end)
  while run() do steps = steps + 1 end
  lu.assertEquals(steps, 10)
end

function TestOptions.testModelsCanBeUsedInCallbacks()
  local m = text_model()
  assert(m:fit(train, quiet{steps = 20, on_step = function()
    lu.assertEquals(#m:sample{prime = "the", length = 5}, 8)
  end}))
end

local TestResume = {}

function TestResume.testBitForBit()
  local whole = text_model()
  local expected = assert(whole:fit(train, quiet{steps = 100}))
  local first = text_model()
  assert(first:fit(train, quiet{steps = 60, checkpoint = path}))
  local second = text_model{seed = 77}
  local history = assert(second:fit(train, quiet{steps = 100, checkpoint = path, resume = true}))
  lu.assertEquals(weights(second), weights(whole))
  lu.assertEquals(#history, #expected)
  for i, row in ipairs(expected) do
    lu.assertEquals({history[i].step, history[i].loss, history[i].val_loss}, {row.step, row.loss, row.val_loss})
  end
end

function TestResume.testWindowsBitForBit()
  local set = sine(100):windows{look_back = 5}
  local function options(t)
    t.batch, t.seed, t.verbose, t.lr = 16, 3, 0, 0.01
    return t
  end
  local function model() return lstm.model{input = 1, hidden = {6, 5}, dropout = 0.2, output = 1, seed = 1} end
  local whole, parts = model(), model()
  assert(whole:fit(set, options{epochs = 6}))
  assert(parts:fit(set, options{epochs = 2, checkpoint = path}))
  parts = model()
  assert(parts:fit(set, options{epochs = 6, resume = path}))
  lu.assertEquals(weights(parts), weights(whole))
end

function TestResume.testCheckpointIsAModel()
  local m = text_model{meta = {note = "mine"}}
  assert(m:fit(train, quiet{steps = 40, checkpoint = path}))
  local loaded = assert(lstm.load(path))
  lu.assertEquals(weights(loaded), weights(m))
  lu.assertEquals(loaded.meta.note, "mine")
  lu.assertTrue(loaded.vocab == vocab)
  assert(loaded:fit(train, quiet{steps = 60, resume = path}))
end

function TestResume.testRefusals()
  local m = text_model()
  assert(m:fit(train, quiet{steps = 20, checkpoint = path}))
  local before = weights(m)
  local function refused(message, data, options)
    options.resume = options.resume or path
    local history, got, status = m:fit(data, quiet(options))
    lu.assertNil(history)
    lu.assertStrContains(got, message)
    lu.assertEquals(status, options.resume == path and "mismatch" or "io")
    lu.assertEquals(weights(m), before)
  end
  refused('option "lr" was 0.01', train, {steps = 40, lr = 0.02})
  refused('option "batch" was 4 in that run and is 5 now', train, {steps = 40, batch = 5})
  refused('option "clip" was 5 in that run and is 0 now', train, {steps = 40, clip = 0})
  refused('option "optimizer" was the default in that run and is sgd now', train, {steps = 40, optimizer = "sgd"})
  refused("the training data are not those of that run", validation, {steps = 40})
  refused("cannot read /nonexistent", train, {steps = 40, resume = "/nonexistent"})
  local other = lstm.model{input = vocab, lstm.embedding(8), lstm.lstm(13), output = vocab}
  local _, message, status = other:fit(train, quiet{steps = 40, resume = path})
  lu.assertStrContains(message, "other layers")
  lu.assertEquals(status, "mismatch")
end

-- What was not given is as in that run: the seed that nobody chose, and how weights move.
function TestResume.testTakesWhatIsNotGiven()
  local set = sine(30):windows{look_back = 5}
  local function run(model, options)
    options.batch, options.verbose = 5, 0
    return assert(model:fit(set, options))
  end
  local whole = lstm.model{input = 1, hidden = 3, output = 1, seed = 1}
  local parts = whole:clone()
  lstm.seed(7)
  run(whole, {epochs = 4, optimizer = "sgd", lr = 0.3, momentum = 0.5, nesterov = true})
  lstm.seed(7)
  run(parts, {epochs = 2, optimizer = "sgd", lr = 0.3, momentum = 0.5, nesterov = true, checkpoint = path})
  run(parts, {epochs = 4, resume = path})
  lu.assertEquals(weights(parts), weights(whole))
  local _, message = parts:fit(set, {epochs = 8, batch = 5, resume = path, lr = 0.25, verbose = 0})
  lu.assertStrContains(message, 'option "lr" was 0.3 in that run and is 0.25 now: give lr = 0.3 again, or begin a ' ..
    "new run without resume")
end

function TestResume.testNeedsItsValidation()
  local m = text_model()
  assert(m:fit(train, quiet{steps = 20, validation = validation, checkpoint = path}))
  local before = weights(m)
  local options = quiet{steps = 40, resume = path}
  options.validation = nil
  local _, message, status = m:fit(train, options)
  lu.assertStrContains(message, "that run had validation data, which decide on its best weights: give validation again")
  lu.assertEquals(status, "mismatch")
  lu.assertEquals(weights(m), before)
end

function TestResume.testNotACheckpoint()
  local m = text_model()
  assert(m:save(path))
  local _, message, status = m:fit(train, quiet{steps = 10, resume = path})
  lu.assertStrContains(message, "not a checkpoint")
  lu.assertEquals(status, "mismatch")
  assert(lstm.writefile(path, "rubbish"))
  _, message, status = m:fit(train, quiet{steps = 10, resume = path})
  lu.assertStrContains(message, path .. ": ")
  lu.assertEquals(status, "format")
end

function TestResume.testCheckpointThatCannotBeWritten()
  local m = text_model()
  local history, message, status = m:fit(train, quiet{steps = 10, checkpoint = "/nonexistent/x.safetensors"})
  lu.assertNil(history)
  lu.assertEquals(message, "cannot write /nonexistent/x.safetensors: No such file or directory")
  lu.assertEquals(status, "io")
end

function TestResume.testTrueBeginsWithoutAFile()
  os.remove(path)
  assert(text_model():fit(train, quiet{steps = 5, checkpoint = path, resume = true}))
  lu.assertTrue(core.exists(path))
end

-- A finished run that is resumed, as by a script that is run once more, gives its model back; its file stays as it is.
function TestResume.testNothingLeft()
  local m = text_model()
  assert(m:fit(train, quiet{steps = 40, checkpoint = path}))
  local before, bytes = weights(m), assert(lstm.readfile(path))
  local again = text_model()
  local history = assert(again:fit(train, quiet{steps = 40, checkpoint = path, resume = true}))
  lu.assertEquals(history.stopped, "finished")
  lu.assertEquals(weights(again), before)
  lu.assertTrue(lstm.readfile(path) == bytes)
  local none, message, status = m:fit(train, quiet{steps = 30, checkpoint = path, resume = true})
  lu.assertNil(none)
  lu.assertEquals(message, ("cannot resume %s: steps = 30 asks for less than the 40 that are done already: give a " ..
    "larger number"):format(path))
  lu.assertEquals(status, "mismatch")
  lu.assertEquals(weights(m), before)
  lu.assertTrue(lstm.readfile(path) == bytes)
  local set = sine(30):windows{look_back = 5}
  local one = lstm.model{input = 1, hidden = 3, output = 1}
  assert(one:fit(set, {epochs = 2, batch = 5, checkpoint = path, seed = 1, verbose = 0}))
  none, message = one:fit(set, {epochs = 1, batch = 5, resume = path, seed = 1, verbose = 0})
  lu.assertNil(none)
  lu.assertStrContains(message, "epochs = 1 (steps = 5) asks for less than the 10 that are done already")
end

-- A run that its patience ended looks no further when it is resumed, but with more patience.
function TestResume.testPatienceStaysSpent()
  local set = sine(30):windows{look_back = 5}
  local function fit(patience)
    local m = lstm.model{input = 1, hidden = 3, output = 1, seed = 1}
    return assert(m:fit(set, {validation = set, epochs = 60, batch = 5, lr = 1e-9, min_delta = 1, patience = patience,
      checkpoint = path, resume = true, seed = 1, verbose = 0}))
  end
  os.remove(path)
  local rows = #fit(2)
  lu.assertEquals(rows, 3)
  local history = fit(2)
  lu.assertEquals(#history, rows)
  lu.assertEquals(history.stopped, "patience")
  lu.assertEquals(#fit(4), rows + 2)
end

-- The host ends with exit code 130 after Ctrl-C; in another interpreter the script decides, and the interpreter does
-- what it always does with the second one.
local plain = os.getenv "LSTM_PLAIN"

-- Runs a script in a host of its own; returns the exit code and what it said.
local function run(script_text, arguments)
  local script, out = os.tmpname(), os.tmpname()
  assert(lstm.writefile(script, script_text))
  local binary = os.getenv "LSTM" or "./lstm"
  local _, _, code = os.execute(("%s %s %s >%s 2>&1"):format(binary, script, arguments or "", out))
  local said = assert(lstm.readfile(out))
  os.remove(script)
  os.remove(out)
  return code, said
end

-- Ctrl-C while a validation is under way: it is cut short, and the run that goes on begins with it.
function TestResume.testInterruptInTheValidation()
  local script = ([[
    local lstm = require "lstm"
    local text = ("the quick brown fox jumps over the lazy dog. "):rep(60)
    local train, validation = lstm.vocab(text):encode(text):split(0.8)
    local m = lstm.model{input = train.vocab, lstm.embedding(8), lstm.lstm(12), output = train.vocab, seed = 1}
    local function press(i)
      if arg[1] == "press" and i.step == 40 then io.popen("kill -INT $PPID"):close() end
    end
    local history, message, status, partial = m:fit(train, {steps = tonumber(arg[2]), seq = 8, batch = 4, lr = 0.01,
      seed = 1, verbose = 0, validation = validation, validate_every = 20, checkpoint = %q, on_step = press,
      resume = arg[1] == "resume"})
    if not history then print(status, #partial) os.exit(0) end
    for _, row in ipairs(history) do print(row.step, row.loss, row.val_loss) end
    print(require "lstm.core".hash(m:tensor "lstm.weight_hh_l0"))
  ]]):format(path):gsub('m:tensor "lstm.weight_hh_l0"', "m:tensor(m:tensors()[2])")
  for _, steps in ipairs{60, 40} do
    local _, whole = run(script, "plain " .. steps)
    local code, said = run(script, "press " .. steps)
    lu.assertEquals({code, said}, {0, "interrupted\t1\n"})
    lu.assertEquals({run(script, "resume " .. steps)}, {0, whole})
  end
end

-- Ctrl-C in the middle of a run of another process: the checkpoint survives, and the rest gives the same bits.
function TestResume.testInterrupt()
  local binary, script, out = os.getenv "LSTM" or "./lstm", os.tmpname(), os.tmpname()
  assert(lstm.writefile(script, ([[
    local lstm = require "lstm"
    local text = ("the quick brown fox jumps over the lazy dog. "):rep(60)
    local vocab = lstm.vocab(text)
    local train, validation = vocab:encode(text):split(0.8)
    local m = lstm.model{input = vocab, lstm.embedding(8), lstm.lstm(12), output = vocab, seed = 1}
    local history, message, status, partial = m:fit(train, {steps = 4000, seq = 8, batch = 4, lr = 0.01, seed = 1,
      verbose = 0, validation = validation, validate_every = 1000, checkpoint = %q, resume = arg[1],
      on_step = function(i)
        if i.step == 300 and not arg[1] then print "running" io.stdout:flush() end
      end})
    if not history then print(status, partial.stopped) error(message, 0) end
    assert(m:save(%q))
  ]]):format(path, path .. ".whole")))
  local function start(arguments, signals)
    assert(lstm.writefile(out, ""))                              -- "running" is of this run, not of the last one
    local _, _, code = os.execute(("%s %s %s >%s 2>&1 & pid=$!; %s wait $pid"):format(binary, script, arguments, out,
      signals))
    return code, assert(lstm.readfile(out))
  end
  lu.assertEquals((start("", "")), 0)
  local whole = assert(lstm.load(path .. ".whole"))
  local code, said = start("", ("while ! grep -q running %s; do sleep 0.01; done; kill -INT $pid;"):format(out))
  if not said:find "interrupted" then lu.skip "the run ended before the signal came" end
  lu.assertEquals(code, plain and 1 or 130)
  if plain then lu.assertStrContains(said, "interrupted\tinterrupted\n")
  else lu.assertStrContains(said, "running\ninterrupted\tinterrupted\nlstm: interrupted after step ") end
  lu.assertStrContains(said, (' of 4000, resume with resume = "%s"'):format(path))
  code, said = start(path, "")
  lu.assertEquals({code, said}, {0, ""})
  lu.assertEquals(weights(assert(lstm.load(path .. ".whole"))), weights(whole))
  for _, name in ipairs{script, out, path .. ".whole"} do os.remove(name) end
end

-- A process that trains and whose callback hangs; signals are sent when it says so. Returns the exit code, the output.
local function signalled(options, signals)
  local script_text = ([[
    local lstm = require "lstm"
    local text = ("the quick brown fox jumps over the lazy dog. "):rep(60)
    local train = lstm.vocab(text):encode(text)
    local m = lstm.model{input = train.vocab, lstm.embedding(4), lstm.lstm(4), output = train.vocab, seed = 1}
    print(m:fit(train, {steps = 60, seq = 8, batch = 4, seed = 1, verbose = 0, validate_every = 20, %s
      on_step = function(i)
        if i.step < 30 then return end
        print "running"
        io.stdout:flush()
        local stop = require "lstm.core".now() + (arg[1] and 0 or 30)
        repeat until require "lstm.core".now() > stop or require "lstm.core".interrupted() and %s
      end}))
  ]]):format(options, signals == "one" and "true" or "false")
  local script, out = os.tmpname(), os.tmpname()
  assert(lstm.writefile(script, script_text))
  local more = signals == "one" and "" or "sleep 0.2; kill -INT $pid;"
  local _, _, code = os.execute(([[{ %s %s >%s 2>&1 & } ; pid=$!
    while ! grep -q running %s; do sleep 0.01; done; kill -INT $pid; %s wait $pid]]):format(
    os.getenv "LSTM" or "./lstm", script, out, out, more))
  local said = assert(lstm.readfile(out))
  os.remove(script)
  os.remove(out)
  return code, said
end

-- The first Ctrl-C ends the step and saves; nothing raises in the callback.
function TestResume.testFirstInterrupt()
  os.remove(path)
  local code, said = signalled(("checkpoint = %q,"):format(path), "one")
  lu.assertEquals(code, plain and 0 or 130)
  lu.assertStrContains(said, ('running\nnil\tinterrupted after step 30 of 60, resume with resume = "%s"\tinterrupted\t')
    :format(path))
  lu.assertStrContains(said, "\nstopped: interrupted\n")
  lu.assertEquals(assert(lstm.load(path)).core:meta()["fit.position"], "30")
  code, said = signalled("", "one")
  lu.assertEquals(code, plain and 0 or 130)
  lu.assertStrContains(said, "interrupted after step 30 of 60, the run cannot go on: that needs checkpoint = path\t")
end

-- The second one ends the process at once, and the last checkpoint is whole.
function TestResume.testSecondInterrupt()
  os.remove(path)
  local code, said = signalled(("checkpoint = %q,"):format(path), "two")
  lu.assertEquals(code, plain and 1 or 130)
  lu.assertEquals(said:match "^running\n(.?)", plain and os.getenv "LSTM":sub(1, 1) or "")
  if plain then lu.assertStrContains(said, "interrupted!") end
  lu.assertEquals(assert(lstm.load(path)).core:meta()["fit.position"], "20")
end

local TestDiverging = {}

-- Ruins the weights after some steps, as a diverging run would.
local function ruin(m, steps)
  return function(info)
    if not steps[info.step] then return end
    local bias = m:tensor "head.bias"
    bias[1] = math.huge
    m:tensor("head.bias", bias)
  end
end

function TestDiverging.testOnceGoesBackAndHalvesTheRate()
  local m = text_model()
  local history = assert(m:fit(train, quiet{steps = 60, on_step = ruin(m, {[30] = true})}))
  lu.assertEquals(history.stopped, "finished")
  lu.assertAlmostEquals(history[1].lr, 0.01, 1e-7)
  lu.assertAlmostEquals(history[#history].lr, 0.005, 1e-7)
  lu.assertTrue(m:evaluate(validation).loss < math.log(#vocab))
end

function TestDiverging.testTwiceStops()
  local m = text_model()
  local options = quiet{steps = 90, on_step = ruin(m, {[30] = true, [50] = true})}
  local history, message, status, partial = m:fit(train, options)
  lu.assertNil(history)
  lu.assertStrContains(message, "batch 51 (epoch 1) gave a loss or gradient that is not finite, again")
  lu.assertEquals({status, partial.stopped}, {"not_finite", "not_finite"})
  lu.assertTrue(m:evaluate(validation).loss < math.log(#vocab))
end

-- A batch that only a callback has spoilt is named when it comes.
function TestDiverging.testBatchWithNaN()
  local m = lstm.model{input = 1, hidden = 2, output = 1, seed = 1}
  local x, y = lstm.zeros{8, 2, 1}, lstm.zeros{8, 1}
  local _, message, status = m:fit({x = x, y = y}, {batch = 4, shuffle = false, verbose = 0,
    on_step = function() x[6][2] = nan end})
  lu.assertStrContains(message, "batch 2 (epoch 1) of the training data has NaN or infinity among its inputs")
  lu.assertEquals(status, "not_finite")
end

-- With accumulate, a batch in the middle of a step spoils it all, and nothing of it is left.
function TestDiverging.testInTheMiddleOfAStep()
  local m = text_model()
  local history = assert(m:fit(train, quiet{steps = 30, accumulate = 3, on_step = ruin(m, {[10] = true})}))
  lu.assertEquals(history.stopped, "finished")
  lu.assertTrue(m:evaluate(validation).loss < math.log(#vocab))
end

local TestData = {}

-- Data with NaN are refused before weights change; the message says where it is.
function TestData.testPlaces()
  local function told(m, data, options)
    local before = weights(m)
    options = options or {}
    options.verbose = 0
    local history, message, status = m:fit(data, options)
    lu.assertNil(history)
    lu.assertEquals(status, "not_finite")
    lu.assertEquals(weights(m), before)
    return (message:gsub("^fit: NaN or infinity in the training data: ", ""))
  end
  local one, two = lstm.model{input = 1, hidden = 2, output = 1}, lstm.model{input = 2, hidden = 2, output = 2}
  local x, y = lstm.zeros{8, 3, 2}, lstm.zeros{8, 2}
  x[6][2] = {0, nan}
  lu.assertEquals(told(two, {x = x, y = y}), "sequence 6, step 2, input 2 of x")
  x[6][2], y[5] = {0, 0}, {math.huge, 0}
  lu.assertEquals(told(two, {x = x, y = y}), "sequence 5, output 1 of y")
  local rows = lstm.table(lstm.array{{1, 2}, {1, nan}, {3, 4}, {5, 6}}, {"Temp", "Wind"})
  lu.assertEquals(told(two, rows:windows{look_back = 1}), 'row 2, column "Wind"')
  local list = {x = {{1, 2, 3}, {4}, {5, nan}}, y = {1, 2, 3}}
  lu.assertEquals(told(one, list), "sequence 3, step 2 of x")
  list.x[3][2], list.y[2] = 6, nan
  lu.assertEquals(told(one, list), "sequence 2 of y")
  local all = lstm.model{input = 1, hidden = 2, output = 1, read = "all"}
  lu.assertEquals(told(all, {x = {{1, 2}, {4}}, y = {{1, 2}, {nan}}}), "sequence 2, step 1 of y")
end

-- Padding may hold anything, and so may targets of weight 0.
function TestData.testWhatDoesNotCount()
  local all = lstm.model{input = 1, hidden = 2, output = 1, read = "all", seed = 1}
  local x, y = lstm.zeros{3, 4, 1} + 0.5, lstm.zeros{3, 4, 1}
  x[2][3], y[2][4] = nan, nan
  assert(all:fit({x = x, y = y, lengths = {4, 2, 4}}, {epochs = 1, verbose = 0}))
  x[2][3] = 0
  local ones = lstm.zeros{3, 4} + 1
  ones[2][4] = 0
  assert(all:fit({x = x, y = y, weights = ones}, {epochs = 1, verbose = 0}))
end

function TestData.testValidation()
  local m = lstm.model{input = 1, hidden = 2, output = 1}
  local set = {x = lstm.zeros{8, 3, 1}, y = lstm.zeros{8, 1}}
  local other = {x = lstm.zeros{2, 3, 1}, y = lstm.array{{0}, {nan}}}
  fails("fit: validation: NaN or infinity in the data: sequence 2 of y", m.fit, m, set, {validation = other})
end

local TestRates = {}

local function regression() return lstm.model{input = 1, hidden = 5, output = 1, seed = 1} end

-- n batches of b as one step are one batch of n * b, but for the last bits.
function TestRates.testAccumulate()
  local set = sine(101):windows{look_back = 5, target = "y"}
  set = set:slice(1, 96)
  for _, optimizer in ipairs{"sgd", "adam"} do
    local a, b = regression(), regression()
    local options = {epochs = 3, batch = 24, shuffle = false, seed = 1, verbose = 0, lr = 0.01, optimizer = optimizer,
      clip = 0.1}
    local whole = assert(a:fit(set, options))
    options.batch, options.accumulate = 8, 3
    local parts = assert(b:fit(set, options))
    lu.assertEquals({parts[3].step, whole[3].step}, {12, 12})
    for i = 1, 3 do
      lu.assertAlmostEquals(parts[i].loss, whole[i].loss, 1e-6)
      lu.assertAlmostEquals(parts[i].norm, whole[i].norm, 1e-6)
    end
    for _, name in ipairs(a:tensors()) do
      local d = a:tensor(name) - b:tensor(name)
      lu.assertTrue(math.max(d:max(), -d:min()) < 2e-6, name)
    end
  end
end

-- Batches count by their targets: of unequal ones the step is still that of one batch with all.
function TestRates.testAccumulateUnequal()
  local x, y = {}, {}
  for i = 1, 7 do
    x[i], y[i] = lstm.zeros{i, 1} + i / 7, lstm.zeros{i, 1} - i / 5
  end
  local function model() return lstm.model{input = 1, hidden = 4, output = 1, read = "all", seed = 1} end
  local a, b = model(), model()
  local options = {steps = 4, batch = 7, shuffle = false, seed = 1, verbose = 0, optimizer = "sgd", lr = 0.1}
  assert(a:fit({x = x, y = y}, options))
  options.batch, options.accumulate = 2, 4
  assert(b:fit({x = x, y = y}, options))
  for _, name in ipairs(a:tensors()) do
    local d = a:tensor(name) - b:tensor(name)
    lu.assertTrue(math.max(d:max(), -d:min()) < 2e-6, name)
  end
end

-- An epoch that is no multiple of n ends in a smaller step.
function TestRates.testAccumulateAtTheEndOfAnEpoch()
  local set, steps = sine(105):windows{look_back = 5, target = "y"}, {}     -- 100 windows, 13 batches of 8, 4 steps
  local history = assert(regression():fit(set, {epochs = 2, batch = 8, accumulate = 4, seed = 1, verbose = 0,
    on_step = function(info, trainer) steps[#steps + 1] = trainer:steps() == info.step and info.epoch end}))
  lu.assertEquals(steps, {1, 1, 1, 1, 2, 2, 2, 2})
  lu.assertEquals({history[1].step, history[2].step}, {4, 8})
  local m = text_model()
  assert(m:fit(train, quiet{steps = 40, accumulate = 2}))
  lu.assertTrue(m:evaluate(validation).loss < math.log(#vocab))
end

function TestRates.testAccumulateOfAPair()
  local symbols = lstm.vocab "ab\n"
  local function pair()
    local function network() return lstm.model{input = symbols, lstm.embedding(3), lstm.lstm(4), output = symbols,
      read = "all", seed = 1} end
    return lstm.seq2seq{encoder = network(), decoder = network()}
  end
  local data = {x = {"ab", "ba", "a", "bbb"}, y = {"ba", "ab", "a", "b"}}
  local a, b = pair(), pair()
  local options = {steps = 5, batch = 4, shuffle = false, seed = 1, verbose = 0, optimizer = "sgd", lr = 0.5}
  assert(a:fit(data, options))
  options.batch, options.accumulate = 1, 4
  assert(b:fit(data, options))
  for _, side in ipairs{"encoder", "decoder"} do
    for _, name in ipairs(a[side]:tensors()) do
      local d = a[side]:tensor(name) - b[side]:tensor(name)
      lu.assertTrue(math.max(d:max(), -d:min()) < 2e-6, name)
    end
  end
end

function TestRates.testPlateau()
  local set = sine(60):windows{look_back = 5, target = "y"}
  local rates = {}
  local history = assert(regression():fit(set, {epochs = 9, verbose = 0, seed = 1, lr = 1e-9, min_delta = 1,
    plateau = {factor = 0.1, patience = 3, min_lr = 2e-11}}))
  for i, row in ipairs(history) do rates[i] = row.lr end
  for i, rate in ipairs{1e-9, 1e-9, 1e-9, 1e-9, 1e-10, 1e-10, 1e-10, 2e-11, 2e-11} do
    lu.assertAlmostEquals(rates[i] / rate, 1, 1e-5, i)
  end
  history = assert(regression():fit(set, {epochs = 4, verbose = 0, seed = 1, lr = 1e-9, min_delta = 1, plateau = true}))
  lu.assertAlmostEquals(history[4].lr, 5e-10, 1e-15)
end

local TestLog = {}

local function read(name) return assert(lstm.readfile(name)) end

function TestLog.testCsv()
  local csv = path .. ".csv"
  os.remove(csv)
  local lines = {}
  local history = assert(text_model():fit(train, quiet{steps = 60, csv = csv, metrics = {"perplexity"},
    on_epoch = function(row)
      lines[#lines + 1] = read(csv)
      lu.assertStrContains(lines[#lines], ("\n%d,%d,"):format(row.epoch, row.step))     -- it is in the file already
    end}))
  lu.assertEquals(read(csv), history:csv())
  lu.assertStrMatches(lines[1], "^epoch,step,loss,val_loss,accuracy,perplexity,lr,norm,seconds\n[^\n]*\n$")
  lu.assertEquals(#lines, 3)
  os.remove(csv)
end

-- A run that goes on appends to its file; lines that it wrote after its last checkpoint come once.
function TestLog.testResume()
  local csv = path .. ".csv"
  assert(text_model():fit(train, quiet{steps = 40, csv = csv, checkpoint = path}))
  local before = read(csv)
  assert(lstm.writefile(csv, before .. "1,60,0.5,0.5,0.5,0.01,1,9\n1,80,0.4"))     -- a torn line, too
  local history = assert(text_model():fit(train, quiet{steps = 80, csv = csv, checkpoint = path, resume = true}))
  lu.assertEquals(read(csv), history:csv())
  lu.assertEquals(read(csv):sub(1, #before), before)
  os.remove(csv)
end

-- What is no history stays.
function TestLog.testOtherFiles()
  local csv = path .. ".csv"
  assert(lstm.writefile(csv, "Date,Temp\n1,2\n"))
  local m = text_model()
  local before = weights(m)
  local history, message, status = m:fit(train, quiet{steps = 5, csv = csv})
  lu.assertNil(history)
  lu.assertEquals(message,
    ('fit: csv = "%s": the file exists and is no history of a run: it is left as it is'):format(csv))
  lu.assertEquals(status, "format")
  lu.assertEquals(weights(m), before)
  lu.assertEquals(read(csv), "Date,Temp\n1,2\n")
  os.remove(csv)
  history, message, status = m:fit(train, quiet{steps = 5, csv = "/nonexistent/x.csv"})
  lu.assertNil(history)
  lu.assertEquals({message, status}, {"cannot write /nonexistent/x.csv: No such file or directory", "io"})
end

local TestInit = {}

function TestInit.testModelOrPath()
  local first = text_model()
  assert(first:fit(train, quiet{steps = 20, checkpoint = path}))
  local a, b, c = text_model{seed = 5}, text_model{seed = 6}, first:clone()
  for m, from in pairs{[a] = first, [b] = path} do assert(m:fit(train, quiet{steps = 10, init = from})) end
  assert(c:fit(train, quiet{steps = 10}))
  lu.assertEquals(weights(a), weights(c))                          -- the weights only: a new run otherwise
  lu.assertEquals(weights(b), weights(c))
end

function TestInit.testRefused()
  local m = text_model()
  local before = weights(m)
  local other = lstm.model{input = vocab, lstm.embedding(8), lstm.lstm(13), output = vocab}
  assert(other:save(path))
  local _, message, status = m:fit(train, quiet{steps = 1, init = path})
  lu.assertEquals(message, ("fit: init: the model of %s has other layers than this one"):format(path))
  lu.assertEquals(status, "mismatch")
  _, message, status = m:fit(train, quiet{steps = 1, init = "/nonexistent"})
  lu.assertEquals({message, status}, {"cannot read /nonexistent: No such file or directory", "io"})
  lu.assertEquals(weights(m), before)
end

function TestInit.testRestoreBest()
  local last
  local function is_last(restore)
    local m = text_model()
    local history = assert(m:fit(train, quiet{steps = 400, patience = 2, lr = 0.3, validate_every = 10,
      restore_best = restore, on_step = function() last = weights(m) end}))
    lu.assertTrue(history.best < #history)
    return weights(m) == last
  end
  lu.assertTrue(is_last(false))
  lu.assertFalse(is_last(nil))
end

-- The seeds that nobody gives are those of the run that is resumed.
function TestInit.testSeedsGoOn()
  local function samples(steps, options)
    lstm.seed(3)
    local m, list = text_model(), {}
    options.steps, options.seed = steps, nil
    options.on_epoch = function(row) list[row.step] = m:sample{prime = "the", length = 20, temperature = 2} end
    assert(m:fit(train, quiet(options)))
    list.last = m:sample{prime = "the", length = 20, temperature = 2}
    return list
  end
  local whole = samples(80, {})
  samples(40, {checkpoint = path})
  local rest = samples(80, {resume = path})
  for _, key in ipairs{60, 80, "last"} do lu.assertEquals(rest[key], whole[key]) end
end

local TestWrongUses = {}

-- Options that would be ignored, and data that leave nothing to learn.
function TestWrongUses.testNothingToLearn()
  local function refuses(sentence, m, data, options)
    options.verbose = 0
    lu.assertErrorMsgContains(sentence, m.fit, m, data, options)
  end
  local each = lstm.model{input = 1, hidden = 2, output = 1, read = "all"}
  local three, two = {lstm.array{1, 2, 3}}, {lstm.array{1, 2}}
  local long, short = lstm.sequences{x = three, y = three}, lstm.sequences{x = two, y = two}
  refuses("fit: burn_in = 3 leaves no target: the longest sequence has 3 steps", each, long, {burn_in = 3})
  refuses("fit: validation: burn_in = 2 leaves no target: the longest sequence has 2 steps", each, long,
    {burn_in = 2, validation = short})
  refuses('fit: a window has one target, the model gives an output at every step: make it with read = "last"', each,
    sine(20):windows{look_back = 5, target = "y"}, {})
  local two_classes = lstm.model{input = 1, hidden = 2, output = {"a", "b"}}
  local known, none = {x = lstm.zeros{2, 3, 1}, y = {"a", "b"}}, {x = lstm.zeros{2, 3, 1}, y = {false, false}}
  refuses("fit: there is no target: all of them are false", two_classes, none, {})
  refuses("fit: validation: there is no target: all of them are false", two_classes, known, {validation = none})
  local ab = lstm.vocab "ab"
  local writer, tokens = lstm.model{input = ab, hidden = 2, output = ab}, ab:encode(("ab"):rep(20))
  refuses("fit: burn_in = 4 leaves no target: the longest sequence has 4 steps", writer, tokens,
    {seq = 4, batch = 2, burn_in = 4})
  refuses("fit: bucket = true is for sequences of different length, this is one text", writer, tokens,
    {seq = 4, batch = 2, bucket = true})
end

-- What a user sees: the message without its position, which must be a line of this file.
function TestWrongUses.testSentences()
  local m, set = regression(), sine(30):windows{look_back = 5, target = "y"}
  local function sees(expected, options, data)
    options.verbose = 0
    local before = weights(m)
    local ok, message = pcall(function() local h = m:fit(data or set, options) return h end)
    lu.assertFalse(ok)
    lu.assertStrMatches(message, "^tests/lua/fit.lua:%d+: .*$")
    lu.assertEquals((message:gsub("^[^:]*:%d+: ", "")), expected)
    lu.assertEquals(weights(m), before)
  end
  sees('fit: option "accumulate" must be a whole number of at least 1, got 0', {accumulate = 0})
  sees('fit: option "csv" must be a string, got true', {csv = true})
  sees('fit: plateau: unknown option "pateince", did you mean "patience"? (there are factor, min_lr and patience)',
    {plateau = {pateince = 3}})
  sees('fit: plateau: option "factor" must be a number above 0 and below 1, got 2', {plateau = {factor = 2}})
  sees('fit: mode = "max", but the smaller "loss" is, the better: leave mode out', {mode = "max"})
  sees('fit: mode = "min", but the larger "accuracy" is, the better: leave mode out',
    {mode = "min", monitor = "accuracy", validation = set, loss = "binary_cross_entropy"})
  sees('fit: option "mode" must be one of "auto", "min" and "max", got "least" (a string)', {mode = "least"})
  sees("fit: init must be a model or the path of one, got a table", {init = {}})
  sees("fit: init: that model has other layers than this one", {init = lstm.model{input = 1, hidden = 9, output = 1}})
  sees('fit: option "restore_best" must be true or false, got "no" (a string)', {restore_best = "no"})
  sees("fit: give steps or epochs, not both", {steps = 1, epochs = 1})
  sees('fit: unknown option "epoch", did you mean "epochs"? (there are ' ..
    "accumulate, alpha, batch, beta1, beta2, bucket, burn_in, checkpoint, class_weights, clip, clip_value, csv, " ..
    "epochs, epsilon, freeze, huber_delta, init, label_smoothing, layer_rates, loss, lr, metrics, min_delta, mode, " ..
    "momentum, monitor, nesterov, on_epoch, on_step, optimizer, patience, plateau, pre_emphasis, restore_best, " ..
    "resume, schedule, schedule_factor, schedule_steps, seconds, seed, seq, shuffle, steps, threads, title, " ..
    "validate_every, validation, verbose, warmup and weight_decay)", {epoch = 3})
  sees("fit: a table of rows is not a set of windows: use rows:windows{look_back = ...}", {}, sine(20))
  sees("fit: resume = true needs checkpoint = path", {resume = true})
  sees("fit: burn_in is for models that give an output at every step, this one reads a sequence once", {burn_in = 2})
end

local code = lu.LuaUnit.new():runSuiteByInstances{
  {"TestText", TestText}, {"TestSets", TestSets}, {"TestOptions", TestOptions}, {"TestResume", TestResume},
  {"TestDiverging", TestDiverging}, {"TestData", TestData}, {"TestRates", TestRates}, {"TestLog", TestLog},
  {"TestInit", TestInit}, {"TestWrongUses", TestWrongUses},
}
os.remove(path)
os.exit(code, true)
