-- Tests of training in slices (host/lua/lesson.lua, trainer:train_some) and of states under another model (state:use).

local lu = require "luaunit"
local lstm = require "lstm"

local fails = lu.assertErrorMsgContains

local function numbers(...)
  local x, rng = lstm.zeros{...}, lstm.rng(5)
  local flat = x:reshape{math.floor(#x:bytes() / 4)}
  for i = 1, #flat do flat[i] = rng:uniform() * 2 - 1 end
  return x
end

local data = {x = numbers(22, 5, 2), y = numbers(22, 2)}
local classes = {}
for i = 1, 22 do classes[i] = i % 3 + 1 end
local labelled = {x = data.x, y = classes}

local function regression() return lstm.model{input = 2, hidden = {4, 3}, output = 2, seed = 1} end
local function classifier()
  return lstm.model{input = 2, hidden = 40, dropout = 0.2, output = {"a", "b", "c"}, seed = 1}
end

-- A lesson to its end: without any time, so that each call does as little as it can. Returns it and the calls.
local function learn(lesson, seconds)
  for calls = 1, 1000000 do
    local done = assert(lesson:run(seconds or 0) ~= nil and lesson) and not lesson.routine
    if done then return lesson, calls end
  end
end

-- That a lesson gives the weights that fit gives, and the same history.
local function check_equal(make, train, options)
  options.seed, options.lr, options.batch = 3, 0.02, 8
  local model, before = make(), make():bytes()
  local lesson, calls = learn(assert(model:lesson(train, options)))
  options.verbose = 0
  local whole = make()
  local history = assert(whole:fit(train, options))
  lu.assertEquals(lesson.model:bytes(), whole:bytes())
  lu.assertEquals(model:bytes(), before)
  lu.assertNotEquals(before, whole:bytes())
  lu.assertEquals(#lesson.history, #history)
  lu.assertEquals(lesson.history[#history].loss, history[#history].loss)
  lu.assertEquals(lesson.history.stopped, history.stopped)
  lu.assertTrue(calls > history[#history].step)
end

local TestEqual = {}

function TestEqual.testOneTileAtATime() check_equal(regression, data, {epochs = 3}) end
function TestEqual.testClasses() check_equal(classifier, labelled, {epochs = 3, label_smoothing = 0.1}) end
function TestEqual.testSteps() check_equal(regression, data, {steps = 7, optimizer = "sgd", momentum = 0.9}) end
function TestEqual.testFrozen() check_equal(regression, data, {steps = 5, freeze = {2}}) end
function TestEqual.testLastWeights() check_equal(regression, data, {epochs = 2, restore_best = false}) end

function TestEqual.testValidation()
  check_equal(regression, data, {epochs = 4, validation = data, patience = 1, plateau = true})
end

function TestEqual.testSequencesOfDifferentLength()
  local list = {}
  for i = 1, 12 do list[i] = numbers(i % 4 + 1, 2) end
  local targets = {}
  for i = 1, 12 do targets[i] = i % 3 + 1 end
  check_equal(classifier, lstm.sequences{x = list, y = targets}, {epochs = 2, bucket = true})
end

function TestEqual.testText()
  local text = ("the slow train learned to wait for the next frame. "):rep(8)
  local vocab = lstm.vocab(text)
  local function make()
    return lstm.model{input = vocab, lstm.embedding(5), lstm.gru(7), output = vocab, seed = 1}
  end
  check_equal(make, vocab:encode(text), {steps = 9, seq = 6})
end

local TestLesson = {}

function TestLesson.testProgress()
  local lesson = assert(regression():lesson(data, {epochs = 2, batch = 8, seed = 1}))
  lu.assertEquals(lesson:progress(), 0)
  lu.assertNil(lesson.loss)
  lu.assertStrContains(tostring(lesson), "lesson: step 0 of 6")
  local last = 0
  while lesson:run(0) == false do
    lu.assertTrue(lesson:progress() >= last and lesson:progress() < 1)
    last = lesson:progress()
  end
  lu.assertEquals(lesson:progress(), 1)
  lu.assertTrue(lesson.loss > 0)
  lu.assertEquals(lesson:run(1), true)
  lu.assertEquals(tostring(lesson), "lesson: step 6 of 6, finished")
end

function TestLesson.testAllAtOnce()
  lu.assertEquals(assert(regression():lesson(data, {epochs = 2})):run(1000), true)
  lu.assertEquals(assert(regression():lesson(data, {epochs = 2})):run(math.huge), true)
end

function TestLesson.testCallbacks()
  local seen, looks = {}, 0
  local lesson = assert(regression():lesson(data, {epochs = 3, batch = 11, on_step = function(info)
    seen[#seen + 1] = info.step
    if info.step == 3 then return false end
  end, on_epoch = function() looks = looks + 1 end}))
  learn(lesson)
  lu.assertEquals(seen, {1, 2, 3})
  lu.assertEquals(looks, 1)
  lu.assertEquals(lesson.stopped, "on_step")
end

function TestLesson.testAnErrorOfACallback()
  local lesson = assert(regression():lesson(data, {epochs = 3, on_step = function() error("mine") end}))
  fails("mine", lesson.run, lesson, 1000)
  for _ = 1, 2 do lu.assertEquals({lesson:run(1)}, {nil, "mine", "error"}) end
  lu.assertEquals(lesson.stopped, "error")
  lu.assertEquals(lesson:progress(), 1 / 3)
  lu.assertEquals(#lesson.model:predict(data), 22)
end

function TestLesson.testAnErrorThatIsATable()
  local mine = {}
  local lesson = assert(regression():lesson(data, {epochs = 3, on_epoch = function() error(mine) end}))
  local fine, problem = pcall(lesson.run, lesson, 1000)
  lu.assertFalse(fine)
  lu.assertIs(problem, mine)
  local done, message, status = lesson:run(1)
  lu.assertEquals({done, type(message), status}, {nil, "string", "error"})
end

-- The calls that the validation after a step takes, and its row beside that of fit.
local function check_look(make, train, options)
  local stepped, calls, row = false, 0, nil
  options.steps, options.seed, options.validation = 1, 1, train
  local whole = make()
  options.verbose = 0
  local wanted = assert(whole:fit(train, options))
  options.verbose = nil
  options.on_step, options.on_epoch = function() stepped = true end, function(r) row = r end
  local lesson = assert(make():lesson(train, options))
  repeat
    if stepped then calls = calls + 1 end
  until lesson:run(0)
  lu.assertAlmostEquals(row.val_loss, wanted[1].val_loss, 1e-9)
  lu.assertEquals(row.accuracy, wanted[1].accuracy)
  lu.assertEquals(lesson.model:bytes(), whole:bytes())
  return calls
end

-- A look is cut into pieces of a few sequences, or a few steps of a text.
function TestLesson.testSlicesOfALook()
  local function large() return lstm.model{input = 2, hidden = 200, output = {"a", "b", "c"}, seed = 1} end
  lu.assertTrue(check_look(large, labelled, {}) >= 5)
  local text = ("the slow train learned to wait. "):rep(20)
  local vocab = lstm.vocab(text)
  local function writer()
    return lstm.model{input = vocab, lstm.embedding(5), lstm.gru(300), output = vocab, seed = 1}
  end
  lu.assertTrue(check_look(writer, vocab:encode(text), {seq = 6}) >= 40)
end

-- The look after the last step is a part of the lesson.
function TestLesson.testProgressInTheLastLook()
  local lesson = assert(regression():lesson(data, {epochs = 2, batch = 22, validation = data, seed = 1}))
  repeat lu.assertTrue(lesson:progress() < 1) until lesson:run(0)
  lu.assertEquals(lesson:progress(), 1)
end

function TestLesson.testClosed()
  local model = regression()
  local lesson = assert(model:lesson(data, {epochs = 30, batch = 8, seed = 1}))
  for _ = 1, 40 do lesson:run(0) end
  lesson:close()
  lesson:close()
  lu.assertEquals(lesson:run(0), true)
  lu.assertEquals(lesson.stopped, "closed")
  lu.assertTrue(lesson:progress() < 1)
  lu.assertEquals(#lesson.model:predict(data), 22)
end

function TestLesson.testNotFinite()
  local bad = {x = numbers(4, 3, 2), y = numbers(4, 2)}
  bad.x[2][1][1] = 0 / 0
  local lesson, message, status = regression():lesson(bad, {epochs = 1})
  lu.assertNil(lesson)
  lu.assertStrContains(message, "lesson: NaN or infinity in the training data")
  lu.assertEquals(status, "not_finite")
  bad.x[2][1][1], bad.y[2][1] = 0, 1e30
  lesson = assert(regression():lesson(bad, {epochs = 9, batch = 4}))
  local done
  repeat done, message, status = lesson:run(0) until done ~= false
  lu.assertNil(done)
  lu.assertStrContains(message, "not finite, again")
  lu.assertEquals(status, "not_finite")
  lu.assertEquals(select(3, lesson:run(0)), "not_finite")
end

-- A game's loop: states that live through a change of mind.
function TestLesson.testSwap()
  local live = regression()
  local state, other = live:state(3), live:state(3)
  local x = numbers(3, 2)
  local first = state:step(x):totable()
  other:step(x)
  local lesson = learn(assert(live:lesson(data, {epochs = 4, batch = 8, lr = 0.1})))
  local before = state:values():bytes()
  lu.assertIs(state:use(lesson.model), state)
  lu.assertIs(state:model(), lesson.model)
  lu.assertEquals(state:values():bytes(), before)
  lu.assertNotEquals(state:step(x):totable(), other:step(x):totable())
  lu.assertEquals(#first, 3)
end

local TestTrainSome = {}

local function batch() return numbers(6, 5, 2), numbers(1, 5, 2), {lengths = lstm.array({6, 3, 1, 5, 0}, "int32")} end

local function trainer(model)
  return model:trainer{batch = 5, seq = 6, seed = 2, lr = 0.05, carry = true, keep_best = true}
end

function TestTrainSome.testEqual()
  local x, y, options = batch()
  local a, b = regression(), regression()
  local whole, cut = trainer(a), trainer(b)
  for _ = 1, 3 do
    local loss, weight = whole:train(x, y, options)
    local calls = 0
    repeat
      local done, sliced, targets = cut:train_some(x, y, {tiles = 3, lengths = options.lengths, reset = false})
      calls = calls + 1
      if done then lu.assertEquals({sliced, targets}, {loss, weight}) end
    until done
    lu.assertTrue(calls > 5)
    lu.assertEquals(b:bytes(), a:bytes())
    lu.assertEquals(cut:steps(), whole:steps())
  end
  lu.assertEquals((cut:train_some(x, y, options)), true)         -- all at once
  whole:train(x, y, options)
  lu.assertEquals((cut:train_some(x, y, {seconds = 1000, lengths = options.lengths})), true)
  whole:train(x, y, options)
  lu.assertEquals(b:bytes(), a:bytes())
end

-- What a script does to its arrays, or which others it makes, does not change a step.
function TestTrainSome.testOwnCopies()
  local x, y, options = batch()
  local a, b = regression(), regression()
  local whole, cut = trainer(a), trainer(b)
  whole:train(x, y, options)
  lu.assertEquals(cut:train_some(x, y, {tiles = 1, lengths = options.lengths}), false)
  x:fill(0 / 0)
  y:fill(7)
  options.lengths:fill(1000)
  collectgarbage()
  repeat until cut:train_some(x, y, {tiles = 2})
  lu.assertEquals(b:bytes(), a:bytes())
end

-- Another call ends a step: nothing is left of it.
function TestTrainSome.testGivenUp()
  local x, y, options = batch()
  local a, b = regression(), regression()
  local whole, cut = trainer(a), trainer(b)
  cut:train_some(x, y, {tiles = 4, lengths = options.lengths})
  cut:train(x, y, options)
  whole:train(x, y, options)
  cut:train_some(x, y, {tiles = 4, lengths = options.lengths})
  cut:reset()
  whole:reset()
  repeat until cut:train_some(x, y, options)
  whole:train(x, y, options)
  lu.assertEquals(b:bytes(), a:bytes())
end

-- What is left of a frame that is over is below 0: that is no time, not all of it.
function TestTrainSome.testTimeThatIsOver()
  local x, y, options = batch()
  for _, seconds in ipairs{0, -1e-9, -5} do
    lu.assertEquals(trainer(regression()):train_some(x, y, {seconds = seconds, lengths = options.lengths}), false)
  end
end

function TestTrainSome.testNotFinite()
  local x, y = batch()
  local m = regression()
  local t, before = trainer(m), m:bytes()
  y:fill(1e30)
  local done, message, status
  repeat done, message, status = t:train_some(x, y, {tiles = 1}) until done ~= false
  lu.assertNil(done)
  lu.assertStrContains(message, "the loss is not finite")
  lu.assertEquals(status, "not_finite")
  lu.assertEquals(m:bytes(), before)
end

local TestWrongUses = {}

function TestWrongUses.testLesson()
  local m = regression()
  fails('lesson: unknown option "epoch", did you mean "epochs"?', m.lesson, m, data, {epoch = 3})
  fails('lesson: unknown option "checkpoint"', m.lesson, m, data, {checkpoint = "x"})
  fails('lesson: option "batch" must be a whole number of at least 1, got 0', m.lesson, m, data, {batch = 0})
  fails("lesson: give steps or epochs, not both", m.lesson, m, data, {steps = 1, epochs = 1})
  fails("lesson: options must be a table", m.lesson, m, data, 5)
  fails("lesson: momentum belongs to", m.lesson, m, data, {momentum = 0.5})
  fails("lesson", m.lesson, m, {x = numbers(3, 4, 3), y = numbers(3, 2)})
  fails("lesson: a model expected before the colon, as in model:lesson(data)", m.lesson, data)
end

function TestWrongUses.testRun()
  local lesson = assert(regression():lesson(data, {epochs = 1}))
  fails("run: the seconds must be a number", lesson.run, lesson)
  fails("run: the seconds must be", lesson.run, lesson, -1)
  fails('lesson: there is no method "progres"; did you mean "progress"?', function() return lesson:progres() end)
end

function TestWrongUses.testInsideOfACallback()
  local lesson
  local told = {}
  lesson = assert(regression():lesson(data, {epochs = 1, batch = 11, on_step = function()
    told[#told + 1] = select(2, pcall(lesson.run, lesson, 1)) .. select(2, pcall(lesson.close, lesson))
  end}))
  learn(lesson)
  lu.assertEquals(#told, 2)
  lu.assertStrContains(told[2], "run: the lesson is running")
  lu.assertStrContains(told[2], "close: the lesson is running")
  lu.assertEquals(lesson.stopped, "finished")
end

function TestWrongUses.testWhere()
  local m = regression()
  local line = debug.getinfo(1, "l").currentline + 1
  local fine, message = pcall(function() return m:lesson(data, {steps = 1, epochs = 1}) end)
  lu.assertFalse(fine)
  lu.assertStrContains(message, ("lesson.lua:%d: lesson: give steps"):format(line))
end

function TestWrongUses.testAmidAnUpdate()
  local x, y, options = batch()
  local m = regression()
  local t = trainer(m)
  t:train(x, y, options)
  t:train_some(x, y, {tiles = 1})
  fails("final: a step of train_some is under way: go on with it until it is done", t.final, t)
  t:keep_best()
  repeat t:train_some(x, y, {tiles = 1}) until t:steps() == 2
  fails("keep_best: a step of train_some is amid its update: go on with it", t.keep_best, t)
  fails("evaluate: a step of train_some is amid its update: go on with it", t.evaluate, t, m:batch_state(5), x, y)
  t:train_some(x, y)
  t:keep_best()
end

function TestWrongUses.testTrainSome()
  local x, y, options = batch()
  local t = trainer(regression())
  fails('train_some: unknown option "second"', t.train_some, t, x, y, {second = 1})
  fails("tiles", t.train_some, t, x, y, {tiles = 0})
  fails("x ([T][B][I])", t.train_some, t, 5, y)
  fails("lengths: number 1 is 9, 0 to 6 expected", t.train_some, t, x, y,
    {lengths = lstm.array({9, 1, 1, 1, 1}, "int32")})
  t:train_some(x, y, {tiles = 1})
  fails("train_some: another x or y, while a step is under way", t.train_some, t, numbers(6, 5, 2), y, {tiles = 1})
  repeat until t:train_some(x, y, {tiles = 1})
  t:train(x, y, options, true)
  fails("train_some: other batches wait for their update", t.train_some, t, x, y)
  local none = regression():trainer{loss = "none"}
  fails("train_some: the trainer has no loss", none.train_some, none, x, y)
end

function TestWrongUses.testUse()
  local state = regression():state()
  fails("use: the model", state.use, state, 5)
  fails("use: the model has other layers than the state's", state.use, state, classifier())
  fails('use: layer 2 of the model has read = "all", that of the state\'s has "last"', state.use, state,
    lstm.model{input = 2, hidden = {4, 3}, output = 2, read = "all"})
  local closed = regression()
  closed:close()
  lu.assertError(state.use, state, closed)
  lu.assertEquals(select("#", state:step(1, 2)), 2)
end

local code = lu.LuaUnit.new():runSuiteByInstances{
  {"TestEqual", TestEqual}, {"TestLesson", TestLesson}, {"TestTrainSome", TestTrainSome},
  {"TestWrongUses", TestWrongUses},
}
os.exit(code, true)
