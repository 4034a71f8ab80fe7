-- Tests of the options of training runs (host/lua/training.lua), of resumed runs with them, and of the parts of a
-- training step (host/trainer.c).

local lu = require "luaunit"
local lstm = require "lstm"

local fails = lu.assertErrorMsgContains
local path = os.tmpname()

local function numbers(...)
  local x, rng = lstm.zeros{...}, lstm.rng(5)
  local flat = x:reshape{#x:bytes() / 4}
  for i = 1, #flat do flat[i] = rng:uniform() * 2 - 1 end
  return x
end

local function regression(options)
  local m = {input = 2, hidden = {4, 3}, output = 2, seed = 1}
  for key, value in pairs(options or {}) do m[key] = value end
  return lstm.model(m)
end

local function classifier() return lstm.model{input = 2, hidden = 4, output = {"a", "b", "c"}, seed = 1} end

local x, y = numbers(24, 5, 2), numbers(24, 2)
local classes = {}
for i = 1, 24 do classes[i] = i % 3 + 1 end

local function fit(m, options, targets)
  local all = {epochs = 4, batch = 8, lr = 0.01, seed = 1, verbose = 0}
  for key, value in pairs(options or {}) do all[key] = value end
  return assert(m:fit({x = x, y = targets or y}, all))
end

local TestLosses = {}

function TestLosses.testMaeAndHuber()
  local m = regression{init = "zero"}
  local data = {x = numbers(2, 3, 2), y = lstm.array{{3, 0.5}, {-1, 0}}}
  lu.assertAlmostEquals(m:evaluate(data, {loss = "mae"}).loss, 4.5 / 4, 1e-6)
  lu.assertAlmostEquals(m:evaluate(data, {loss = "huber"}).loss, (2.5 + 0.125 + 0.5) / 4, 1e-6)
  lu.assertNil(m:evaluate(data, {loss = "mae"}).accuracy)
  for _, loss in ipairs{"mae", "huber"} do
    local model = regression{loss = loss}
    local history = fit(model, {epochs = 30})
    lu.assertTrue(history[#history].loss < history[1].loss)
    lu.assertEquals(assert(lstm.load{data = model:bytes()}).loss, loss)
  end
end

-- The validation is measured with the loss that is trained, options included.
function TestLosses.testValidationHasTheOptions()
  for _, options in ipairs{{label_smoothing = 0.3}, {class_weights = {1, 5, 0.5}}} do
    local m = classifier()
    options.epochs, options.lr, options.batch, options.shuffle = 1, 1e-12, 24, false
    options.validation = {x = x, y = classes}
    local history = fit(m, options, classes)
    lu.assertAlmostEquals(history[1].val_loss, history[1].loss, 1e-5)
    lu.assertNotAlmostEquals(history[1].val_loss, m:evaluate({x = x, y = classes}).loss, 1e-4)
  end
  local m = regression{loss = "huber"}
  local history = fit(m, {epochs = 1, lr = 1e-12, batch = 24, huber_delta = 0.1, validation = {x = x, y = y}})
  lu.assertAlmostEquals(history[1].val_loss, history[1].loss, 1e-6)
end

function TestLosses.testClassWeightsByLabel()
  local a, b = classifier(), classifier()
  fit(a, {class_weights = {1, 4, 1}}, classes)
  fit(b, {class_weights = {b = 4}}, classes)
  lu.assertEquals(a:bytes() == b:bytes(), true)
end

function TestLosses.testBurnIn()
  local all = lstm.model{input = 2, hidden = 4, output = 2, read = "all", seed = 1}
  local long = numbers(24, 5, 2)
  local history = assert(all:fit({x = x, y = long}, {
    epochs = 1, batch = 24, lr = 1e-12, burn_in = 3, verbose = 0, seed = 1, validation = {x = x, y = long},
  }))
  local d = all:predict(x) - long
  local sum = 0
  for i = 1, 24 do
    local late = d[i]:slice(4, 5)
    sum = sum + (late * late):sum()
  end
  lu.assertAlmostEquals(history[1].loss, sum / (24 * 2 * 2), 1e-5)
  lu.assertAlmostEquals(history[1].val_loss, history[1].loss, 1e-6)
  fails("reads a sequence once", fit, regression(), {burn_in = 2})
end

local TestRates = {}

function TestRates.testSchedules()
  local function rates(options)
    local list = {}
    options.epochs, options.lr, options.on_step = 3, 1, function(_, trainer) list[#list + 1] = trainer:rate() end
    local m = regression()
    local history = fit(m, options)
    lu.assertAlmostEquals(history[#history].lr, list[#list], 1e-7)
    return list
  end
  local step = rates{schedule = "step", schedule_steps = 2, schedule_factor = 0.5, optimizer = "sgd"}
  for n = 1, 9 do lu.assertAlmostEquals(step[n], 0.5 ^ math.floor(n / 2), 1e-6) end
  local slow = rates{schedule = "exponential", schedule_factor = 0.9, optimizer = "sgd"}
  for n = 1, 9 do lu.assertAlmostEquals(slow[n], 0.9 ^ n, 1e-6) end
  local cosine = rates{schedule = "cosine", schedule_steps = 8, optimizer = "sgd"}
  for n = 1, 9 do
    lu.assertAlmostEquals(cosine[n], 0.5 * (1 + math.cos(math.pi * math.min(n, 8) / 8)), 1e-6)
  end
  local warm = rates{warmup = 4, optimizer = "sgd"}
  for n = 1, 9 do lu.assertAlmostEquals(warm[n], math.min(1, (n + 1) / 4), 1e-6) end
end

function TestRates.testFreezeAndLayerRates()
  local m = regression()
  local before = {}
  for _, name in ipairs(m:tensors()) do before[name] = m:tensor(name) end
  fit(m, {freeze = {1}})
  for _, name in ipairs(m:tensors()) do
    lu.assertEquals(m:tensor(name) == before[name], name:find("^rnn%.") ~= nil, name)
  end
  local a, b = regression(), regression()
  fit(a, {freeze = {1, 3}})
  fit(b, {layer_rates = {0, 1, 0}})
  lu.assertEquals(a:bytes() == b:bytes(), true)
  fails("freeze lists the numbers of layers, from 1 to 3, got 4", fit, m, {freeze = {4}})
  fails("layer_rates needs 3 numbers, one for each layer of the model, got 2", fit, m, {layer_rates = {1, 1}})
  fails("layer_rates: number 2 must be a number of at least 0, got -1", fit, m, {layer_rates = {1, -1, 1}})
end

function TestRates.testNesterov()
  local a, b = regression(), regression()
  fit(a, {optimizer = "sgd", momentum = 0.9})
  fit(b, {optimizer = "sgd", momentum = 0.9, nesterov = true})
  lu.assertEquals(a:bytes() == b:bytes(), false)
end

local TestRefused = {}

function TestRefused.testTogether()
  local m, c = regression(), classifier()
  fails('huber_delta belongs to loss = "huber"', fit, m, {huber_delta = 2})
  fails('label_smoothing belongs to loss = "cross_entropy", the loss is "mse"', fit, m, {label_smoothing = 0.1})
  fails('class_weights belongs to loss = "cross_entropy"', fit, m, {class_weights = {1, 2}})
  fails("class_weights needs 3 numbers, one for each class, got 2", fit, c, {class_weights = {1, 2}}, classes)
  fails('class_weights: "d" (a string) is no class of the model', fit, c, {class_weights = {d = 1}}, classes)
  fails('schedule_steps belongs to schedule', fit, m, {schedule_steps = 3})
  fails('schedule = "cosine" needs schedule_steps', fit, m, {schedule = "cosine"})
  fails('schedule = "exponential" has no schedule_steps', fit, m, {schedule = "exponential", schedule_steps = 3})
  fails('option "schedule" must be one of "step", "exponential" and "cosine"', fit, m, {schedule = "linear"})
  fails("schedule_factor must be above 0", fit, m, {schedule = "step", schedule_steps = 2, schedule_factor = 0})
  fails('nesterov = true needs optimizer = "sgd" and a momentum', fit, m, {nesterov = true})
  fails('momentum belongs to optimizer = "sgd" or "rmsprop", the optimizer is "adam"', fit, m, {momentum = 0.9})
  fails('alpha belongs to optimizer = "rmsprop", the optimizer is "adamw"', fit, m, {alpha = 0.9, optimizer = "adamw"})
  fails('beta1 belongs to optimizer = "adam" or "adamw", the optimizer is "sgd"', fit, m,
    {beta1 = 0.9, optimizer = "sgd"})
  local all = {}
  for i = 1, #m.core:describe().layers do all[i] = i end
  fails("every layer is frozen, there is nothing to train", fit, m, {freeze = all})
  fails('unknown option "warm_up", did you mean "warmup"?', fit, m, {warm_up = 3})
  fails('option "label_smoothing" must be a number from 0 to 1', fit, m, {label_smoothing = 2})
end

local TestResume = {}

-- The options that a run was made with must be given again, each by its name.
function TestResume.testRefusesChangedOptions()
  local base = {
    huber_delta = 0.5, schedule = "step", schedule_steps = 5, schedule_factor = 0.5, warmup = 2, optimizer = "sgd",
    momentum = 0.9, nesterov = true, layer_rates = {0.5, 1, 1},
  }
  local function with(name, value)
    local options = {checkpoint = path}
    for key, one in pairs(base) do options[key] = one end
    if name then options[name] = value end
    return options
  end
  fit(regression{loss = "huber"}, with("epochs", 2))
  for name, value in pairs{
    huber_delta = 0.25, schedule_steps = 6, schedule_factor = 0.25, warmup = 3, layer_rates = {0.25, 1, 1},
  } do
    local options = with(name, value)
    options.resume, options.epochs, options.batch, options.lr, options.seed, options.verbose = path, 4, 8, 0.01, 1, 0
    local _, message, status = regression{loss = "huber"}:fit({x = x, y = y}, options)
    lu.assertEquals(status, "mismatch")
    lu.assertStrContains(message, ('option "%s" was '):format(name))
  end
end

-- A model with all the options that go together, stopped and resumed: the bits of the whole run.
local function all_options(loss)
  return lstm.model{
    input = 2, output = loss == "cross_entropy" and {"a", "b", "c"} or 2, seed = 3, loss = loss,
    lstm.lstm{6, peephole = true, coupled = true, projection = 4, layer_norm = true, cell_clip = 2,
      activation = "softsign", gate_activation = "hard_sigmoid", dropout = 0.2, recurrent_dropout = 0.2, zoneout = 0.1,
      learned_state = true, bidirectional = true, merge = "sum"},
    lstm.lstm{5, forget = "noise", noise = 0.2, dropout = 0.1},
    lstm.gru{4, dropout = 0.1, recurrent_dropout = 0.1, zoneout = 0.2, learned_state = true, bidirectional = true,
      read = "mean"},
    lstm.dropout(0.2),
    lstm.dense{3, activation = "relu"},
  }
end

function TestResume.testAllOptionsBitForBit()
  local options = {
    batch = 7, optimizer = "adamw", weight_decay = 0.02, schedule = "cosine", schedule_steps = 20, warmup = 3,
    layer_rates = {0.5, 1, 1, 1, 1, 2}, label_smoothing = 0.1, class_weights = {b = 2},
    validation = {x = x, y = classes},
  }
  local function run(more)
    local all = {}
    for _, part in ipairs{options, more} do
      for key, value in pairs(part) do all[key] = value end
    end
    local m = all_options "cross_entropy"
    return m, fit(m, all, classes)
  end
  local whole, expected = run{epochs = 6}
  run{epochs = 3, checkpoint = path}
  local resumed, history = run{epochs = 6, resume = path}
  lu.assertEquals(resumed:bytes() == whole:bytes(), true)
  for i, row in ipairs(expected) do
    lu.assertEquals({history[i].loss, history[i].val_loss, history[i].lr}, {row.loss, row.val_loss, row.lr})
  end
end

function TestResume.testThreadsDoNotChangeBits()
  local reference
  for _, threads in ipairs{1, 3} do
    local m = all_options "mse"
    fit(m, {threads = threads, epochs = 2})
    reference = reference or m:bytes()
    lu.assertEquals(m:bytes() == reference, true)
  end
end

local TestParts = {}

-- The parts of a step, taken one by one, are the step.
function TestParts.testPartsAreTheStep()
  local a, b = regression(), regression()
  local whole, parts = a:trainer{batch = 4, seq = 5, seed = 1}, b:trainer{batch = 4, seq = 5, seed = 1}
  local bx, by = numbers(5, 4, 2), numbers(4, 2)
  for _ = 1, 3 do
    local loss = whole:train(bx, by)
    local out = parts:forward(bx)
    lu.assertEquals({out:shape()}, {1, 4, 2})
    lu.assertEquals(parts:loss(by), loss)
    parts:zero_gradients()
    parts:backward()
    lu.assertAlmostEquals(parts:clip(), whole:norm(), 1e-6)
    parts:update()
    lu.assertEquals(parts:final(), whole:final())
  end
  lu.assertEquals(a:bytes() == b:bytes(), true)
  lu.assertEquals(parts:steps(), 3)
end

-- A gradient that enters at the outputs: half the sum of squares is what mse has, but for its factor.
function TestParts.testOwnLoss()
  local m = regression{read = "all"}
  local none, mse = m:trainer{batch = 2, seq = 3, loss = "none"}, m:trainer{batch = 2, seq = 3}
  local bx, by = numbers(3, 2, 2), numbers(3, 2, 2)
  local out = none:forward(bx)
  none:zero_gradients()
  local flow = none:backward{d_output = (out - by) * (2 / 12), d_input = true}
  mse:forward(bx)
  mse:loss(by)
  mse:zero_gradients()
  local other = mse:backward{d_input = true}
  for i = 1, 3 do
    for b = 1, 2 do
      for k = 1, 2 do lu.assertAlmostEquals(flow.d_input[i][b][k], other.d_input[i][b][k], 1e-6) end
    end
  end
  lu.assertEquals({flow.d_initial:shape()}, {2, 14})
  local d = none:gradient "head.weight" - mse:gradient "head.weight"
  lu.assertAlmostEquals((d * d):sum(), 0, 1e-10)
end

function TestParts.testLengthsAndWeights()
  local m = regression()
  local t = m:trainer{batch = 3, seq = 4}
  local bx, by = numbers(4, 3, 2), numbers(3, 2)
  local out = t:forward(bx, {lengths = lstm.array({4, 2, 3}, "int32")})
  lu.assertEquals(out[1][2], m:predict(bx:slice(1, 2):reshape{2, 3, 2}:slice(1, 2)) and out[1][2])
  local weighted = t:loss(by, {weights = lstm.array{{0, 1, 0}}})
  local d = out[1][2] - by[2]
  lu.assertAlmostEquals(weighted, (d * d):sum() / 2, 1e-6)
  collectgarbage()
  t:zero_gradients()
  t:backward()
end

function TestParts.testMistakes()
  local m = regression()
  local t = m:trainer{batch = 2, seq = 3, loss = "none"}
  fails("loss: the trainer has no loss; give backward the gradient d_output", t.loss, t, y)
  fails("backward: there was no forward pass", t.backward, t)
  fails("final: there was no forward pass", t.final, t)
  t:forward(numbers(3, 2, 2))
  fails("once after each forward, and after a loss or with d_output or d_final", t.backward, t)
  fails("d_final: shape [2][14] expected, got [2][3]", t.backward, t, {d_final = lstm.zeros{2, 3}})
  fails("d_output: shape [1][2][2] expected", t.backward, t, {d_output = lstm.zeros{2, 2}})
  fails('gradient: the model has no tensor "x"', t.gradient, t, "x")
  local text = lstm.model{input = lstm.vocab "ab", hidden = 3, output = 2, read = "last"}:trainer{seq = 2}
  text:forward(lstm.array({{0}, {1}}, "int32"))
  fails("tokens have no gradient", text.backward, text, {d_input = true})
  fails('option "loss" must be one of "none"', m.trainer, m, {loss = "x"})
end

function TestParts.testEvaluate()
  local m = classifier()
  local t = m:trainer{batch = 2, seq = 5, label_smoothing = 0.2}
  local bx, by = numbers(5, 2, 2), lstm.array({0, 2}, "int32")
  t:forward(bx)
  local loss, weight, targets = t:evaluate(m:state(2), bx, by)
  lu.assertAlmostEquals(loss / weight, t:loss(by), 1e-6)
  lu.assertEquals(targets, 2)
  local other = classifier():state(2)
  other:model():close()
  fails("the state's model is closed", t.evaluate, t, other, bx, by)
  fails("another architecture", t.evaluate, t, regression():state(2), bx, by)
end

function TestParts.testNotFinite()
  local m = regression()
  local t = m:trainer{batch = 1, seq = 1, loss = "none"}
  t:forward(numbers(1, 1, 2))
  t:zero_gradients()
  t:backward{d_output = lstm.zeros{1, 1, 2} + 0 / 0}
  local norm, _, status = t:clip()
  lu.assertEquals({norm, status}, {nil, "not_finite"})
end

function TestParts.testLookingIn()
  local m = regression()
  local t = m:trainer{batch = 2, seq = 4}
  local bx, by = numbers(4, 2, 2) * 20, numbers(2, 2)
  t:forward(bx)
  local s = t:saturation(2)
  lu.assertEquals(s.count, 4 * 2 * 3)
  for _, gate in ipairs{"i", "f", "g", "o"} do
    lu.assertTrue(s[gate].low >= 0 and s[gate].low + s[gate].high <= 1)
  end
  t:loss(by)
  t:zero_gradients()
  t:backward()
  local norms = t:step_norms()
  lu.assertEquals(#norms, 4)
  lu.assertTrue(norms:finite() and norms[4] > 0)
  fails("layer 3 is a dense layer, which has no gates", t.step_norms, t, 3)
  fails("after a forward pass and before its backward", t.saturation, t)
end

-- A loss of the script's own: the mean of the fourth powers, and one whose gradient is wrong.
function TestParts.testGradcheck()
  local t = lstm.model{input = 2, lstm.lstm{4, peephole = true}, output = 2, read = "all", seed = 1}:trainer{
    batch = 2, seq = 3, loss = "none"}
  local function fourth(factor)
    return function(out, gradient)
      local sum = 0
      for s, rows in ipairs(out) do
        for b, row in ipairs(rows) do
          for k, value in ipairs(row) do
            sum = sum + value ^ 4
            if gradient then gradient[s][b][k] = factor * value ^ 3 end
          end
        end
      end
      return sum
    end
  end
  local bx = numbers(3, 2, 2)
  local result = t:gradcheck(bx, fourth(4))
  lu.assertTrue(result.ok)
  lu.assertTrue(result.error < 1e-4)
  lu.assertEquals(type(result.tensor), "string")
  lu.assertFalse(t:gradcheck(bx, fourth(4.1)).ok)
  fails("boom", t.gradcheck, t, bx, function() error "boom" end)
  fails("the loss must be a number, got nil", t.gradcheck, t, bx, function() end)
  fails("the loss must be a function", t.gradcheck, t, bx)
  fails("the trainer is busy: gradcheck calls this function", t.gradcheck, t, bx, function() t:close() end)
  fails("the trainer is busy: gradcheck calls this function", t.gradcheck, t, bx, function() return t:loss(bx) end)
  lu.assertTrue(t:gradcheck(bx, fourth(4), {lengths = lstm.array({3, 1}, "int32")}).ok)
end

-- A mistyped option of a single step is refused by name.
local TestStepOptions = {}

function TestStepOptions.testUnknown()
  local m = lstm.model{input = 1, hidden = 3, output = 1}
  local t, one = m:trainer{batch = 1, seq = 2}, lstm.zeros{2, 1, 1}
  fails('forward: unknown option "length" (there are lengths, weights, reset, initial and burn_in)', t.forward, t, one,
    {length = 1})
  t:forward(one)
  fails('backward: unknown option "d_outputs" (there are d_output, d_final and d_input)', t.backward, t,
    {d_outputs = one})
  fails('loss: unknown option "burnin"', t.loss, t, lstm.zeros{1, 1}, {burnin = 1})
  fails('train: unknown option "weight"', t.train, t, one, lstm.zeros{1, 1}, {weight = 1})
  fails("train: options must be a table, got number", t.train, t, one, lstm.zeros{1, 1}, 3)
  local state = m:state()
  fails('trace: unknown option "layers" (there are layer, lane and steps)', state.trace, state, {layers = 1})
end

function TestStepOptions.testNamesAndNumbersAreThoseOfLua()
  local m = lstm.model{input = 1, lstm.gru{3, dropout = 0.2}, output = 1}
  local t = m:trainer{batch = 1, seq = 2}
  fails("gradcheck: layer 1 draws random numbers", t.gradcheck, t, lstm.zeros{2, 1, 1}, function() return 1 end)
  local both = lstm.model{input = 1, lstm.gru{3, bidirectional = true}, output = 1}
  fails("carry does not go with a bidirectional layer", both.trainer, both, {carry = true})
end

local TestMore = {}

-- train(x, y, options, true) waits: these batches and the next are one step; a failure forgets what waited.
function TestMore.testBatchesAsOneStep()
  local function trainer(m) return m:trainer{batch = 24, seq = 5, optimizer = "sgd", lr = 0.1} end
  local a, b = regression(), regression()
  local whole, parts = trainer(a), trainer(b)
  local bx, by = lstm.zeros{5, 24, 2}, y
  for i = 1, 24 do
    for t = 1, 5 do bx[t][i] = x[i][t] end
  end
  local function lanes(from, to)
    local part = lstm.zeros{5, to - from + 1, 2}
    for t = 1, 5 do
      for i = from, to do part[t][i - from + 1] = bx[t][i] end
    end
    return part, by:slice(from, to):copy()
  end
  local loss, weight = whole:train(bx, by)
  lu.assertEquals(weight, 24)
  local sum, total = 0, 0
  for k, range in ipairs{{1, 3}, {4, 14}, {15, 24}} do
    local px, py = lanes(range[1], range[2])
    local part, n = parts:train(px, py, nil, k < 3)
    lu.assertEquals(n, range[2] - range[1] + 1)
    lu.assertEquals(parts:steps(), k < 3 and 0 or 1)
    sum, total = sum + part * n, total + n
  end
  lu.assertAlmostEquals(sum / total, loss, 1e-6)
  lu.assertAlmostEquals(parts:norm(), whole:norm(), 1e-6)
  for _, name in ipairs(a:tensors()) do
    local d = a:tensor(name) - b:tensor(name)
    lu.assertTrue(math.max(d:max(), -d:min()) < 1e-6, name)
  end
end

function TestMore.testAFailureForgets()
  local m, n = regression(), regression()
  local t, u = m:trainer{batch = 2, seq = 1}, n:trainer{batch = 2, seq = 1}
  local good, bad = lstm.zeros{1, 2, 2} + 0.5, lstm.zeros{1, 2, 2}
  bad[1][1][1] = math.huge
  assert(t:train(good, lstm.zeros{2, 2}, nil, true))
  local loss, message, status = t:train(bad * 0, lstm.array{{math.huge, 0}, {0, 0}}, nil, true)
  lu.assertNil(loss)
  lu.assertEquals({message, status}, {"train: the loss is not finite", "not_finite"})
  assert(t:train(good, lstm.zeros{2, 2}))
  assert(u:train(good, lstm.zeros{2, 2}))
  lu.assertEquals({t:steps(), m:bytes() == n:bytes()}, {1, true})
end

-- The weight of a loss is the sum of its targets' weights: of classes by class_weights, without those that are missing.
function TestMore.testWeights()
  local t = classifier():trainer{batch = 3, seq = 2, class_weights = {1, 2, 4}}
  t:forward(lstm.zeros{2, 3, 2})
  local _, weight = t:loss(lstm.array({1, -1, 2}, "int32"))
  lu.assertEquals(weight, 6)
  _, weight = t:train(lstm.zeros{2, 3, 2}, lstm.array({0, 1, 2}, "int32"), {weights = lstm.array{{0.5, 1, 0}}})
  lu.assertEquals(weight, 2.5)
end

local TestWrongUses = {}

function TestWrongUses.testSentences()
  local m, c = regression(), classifier()
  local t, none = m:trainer{batch = 4, seq = 5}, m:trainer{loss = "none"}
  local bx, by = lstm.zeros{5, 4, 2}, lstm.zeros{4, 2}
  local function sees(expected, f, ...)
    local arguments = {...}
    local ok, message = pcall(function() local result = f(table.unpack(arguments)) return result end)
    lu.assertFalse(ok)
    lu.assertStrMatches(message, "^tests/lua/training.lua:%d+: .*$")
    lu.assertEquals((message:gsub("^[^:]*:%d+: ", "")), expected)
  end
  sees('trainer: option "lr" must be a number above 0, got 0', m.trainer, m, {lr = 0})
  sees('trainer: option "optimizer" must be one of "sgd", "rmsprop", "adam" and "adamw", got "adma" (a string), did ' ..
    'you mean "adam"?', m.trainer, m, {optimizer = "adma"})
  sees("trainer: freeze lists the numbers of layers, from 1 to 3, got 9", m.trainer, m, {freeze = {9}})
  sees("trainer: class_weights needs 3 numbers, one for each class, got 2", c.trainer, c, {class_weights = {1, 2}})
  sees("y: float32 array expected, got nil", t.train, t, bx)
  sees("x ([T][B][I]): shape [any][any][2] expected, got [5][4][3]", t.train, t, lstm.zeros{5, 4, 3}, by)
  sees("train: the batch has 5 lanes, wanted 1 to 4", t.train, t, lstm.zeros{5, 5, 2}, lstm.zeros{5, 2})
  sees("y ([T][B][O]): shape [4][2] expected, got [4][3]", t.train, t, bx, lstm.zeros{4, 3})
  sees("train: unknown option \"length\" (there are lengths, weights, reset, initial and burn_in)", t.train, t, bx, by,
    {length = 3})
  sees("lengths: number 1 is 6, 0 to 5 expected", t.train, t, bx, by, {lengths = lstm.array({6, 1, 1, 1}, "int32")})
  sees("train: the trainer has no loss", none.train, none, bx, by)
  sees("backward: there was no forward pass", none.backward, none)
  sees("lr: a finite rate of at least 0 expected, got -0.5", t.lr, t, -0.5)
  sees('gradient: the model has no tensor "rnn.weight"; tensors() lists them', t.gradient, t, "rnn.weight")
  sees("scale_gradients: the factor must be a number, got no value", t.scale_gradients, t)
  sees('trainer: there is no method "step"; did you mean "step_norms"?', function() t:step() end)
  t:close()
  sees("the trainer is closed", t.train, t, bx, by)
end

local code = lu.LuaUnit.new():runSuiteByInstances{
  {"TestLosses", TestLosses}, {"TestRates", TestRates}, {"TestRefused", TestRefused}, {"TestResume", TestResume},
  {"TestParts", TestParts}, {"TestStepOptions", TestStepOptions}, {"TestMore", TestMore},
  {"TestWrongUses", TestWrongUses},
}
os.remove(path)
os.exit(code, true)
