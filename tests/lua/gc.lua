-- Tests of lifetimes: what is closed, collected first, or kept alive by something else.

local lu = require "luaunit"
local lstm = require "lstm"

local fails = lu.assertErrorMsgContains

local function new_model() return lstm.model{input = 1, hidden = 4, output = 1, read = "all", seed = 1} end

local function collect()
  collectgarbage()
  collectgarbage()
end

local TestClosed = {}

function TestClosed.testModel()
  local m = new_model()
  local state, trainer = m:state(), m:trainer{}
  m:close()
  m:close()
  local x = lstm.zeros{1, 1, 1}
  fails("the model is closed", m.predict, m, x)
  fails("the model is closed", m.state, m)
  fails("the model is closed", m.trainer, m, {})
  fails("the model is closed", m.bytes, m)
  fails("the model is closed", m.clone, m)
  lu.assertEquals(tostring(m), "model (closed)")
  fails("the state's model is closed", state.step, state, 1)
  fails("the state's model is closed", state.clone, state)
  fails("the trainer's model is closed", trainer.train, trainer, x, x)
  state:close()
  trainer:close()
end

function TestClosed.testState()
  local state = new_model():state()
  state:close()
  state:close()
  for _, name in ipairs{"step", "reset", "values", "clone", "output", "argmax", "bytes", "restore", "forward"} do
    fails("the state is closed", state[name], state, 1)
  end
end

function TestClosed.testTrainer()
  local trainer = new_model():trainer{}
  trainer:close()
  trainer:close()
  for _, name in ipairs{"train", "steps", "lr", "norm", "final", "reset", "save", "resume", "keep_best"} do
    fails("the trainer is closed", trainer[name], trainer, "x")
  end
  lu.assertEquals(tostring(trainer), "trainer (closed)")
end

function TestClosed.testScopes()
  if _VERSION < "Lua 5.4" then lu.skip "<close> came with Lua 5.4" end
  local kept = assert(load [[
    local m <close> = ...
    local state <close> = m:state()
    state:step(1)
    return state
  ]])(new_model())
  fails("the state is closed", kept.step, kept, 1)
end

local TestAlive = {}

function TestAlive.testStateKeepsItsModel()
  local state = new_model():state()
  local y = state:step(1)
  collect()
  state:reset()
  lu.assertEquals(state:step(1), y)
end

function TestAlive.testTrainerKeepsItsModel()
  local trainer = new_model():trainer{}
  collect()
  lu.assertTrue(trainer:train(lstm.zeros{1, 1, 1} + 1, lstm.zeros{1, 1, 1}) >= 0)
end

function TestAlive.testIterator()
  local vocab = lstm.vocab "abc"
  local pieces = lstm.model{input = vocab, hidden = 3, output = vocab}:generate{length = 10}
  collect()
  lu.assertEquals(type(pieces()), "string")
end

function TestAlive.testAnyOrderOfEnds()
  for order = 1, 6 do
    local m = new_model()
    local state, trainer = m:state(), m:trainer{}
    trainer:train(lstm.zeros{1, 1, 1} + 1, lstm.zeros{1, 1, 1})
    state:step(1)
    if order == 1 then m:close() elseif order == 2 then trainer:close() elseif order == 3 then m = nil
    elseif order == 4 then state = nil elseif order == 5 then m, trainer = nil, nil else m, state = nil, nil end
    collect()
    lu.assertTrue(m ~= false and state ~= false and trainer ~= false)
  end
  collect()
end

local TestMemory = {}

-- Memory outside Lua's view must not pile up until the collector happens to run.
function TestMemory.testGarbageIsCollectedInTime()
  local function resident()
    local file = io.open("/proc/self/statm")
    if not file then lu.skip("no /proc here") end
    local _, pages = file:read("*n", "*n")
    file:close()
    return pages * 4096
  end
  lstm.model{input = 1, hidden = 256, output = 1}
  collect()
  local before = resident()
  for _ = 1, 400 do lstm.model{input = 1, hidden = 256, output = 1, init = "zero"} end     -- 2 MB each
  lu.assertTrue(resident() - before < 400e6, "memory grew by " .. (resident() - before))
end

-- Large arrays are not in Lua's heap, but the collector hears of them.
function TestMemory.testArraysAreSeenByLua()
  local before, alive, most = collectgarbage "count", setmetatable({}, {__mode = "k"}), 0
  for _ = 1, 200 do
    local a = lstm.zeros(1000000)
    alive[a] = true
    local n = 0
    for _ in pairs(alive) do n = n + 1 end
    most = math.max(most, n)
  end
  lu.assertTrue(collectgarbage "count" - before < 1000)
  lu.assertTrue(most < 50, most .. " arrays of 4 MB were kept")
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestClosed", TestClosed}, {"TestAlive", TestAlive}, {"TestMemory", TestMemory},
}, true)
