-- A run that is killed (SIGKILL) at random steps and resumed equals the run that was not, bit for bit: weights, history
-- but its seconds, samples. tests/learn/kill.sh is the long form.

local lu = require "luaunit"
local lstm = require "lstm"

local binary = os.getenv "LSTM" or "./lstm"
local base = os.tmpname()
os.remove(base)

local function shell(command)
  local _, _, code = os.execute(command)
  return code
end

-- Runs tests/learn/resumed.lua in its own process until it comes to its end: it is killed at each of these steps.
local function run(kind, name, steps, kills)
  local folder = ("%s-%s-%s"):format(base, kind, name)
  assert(shell("mkdir -p " .. folder) == 0)
  for _, step in ipairs(kills) do
    local code = shell(("{ %s tests/learn/resumed.lua %s %s %d %d; exit $?; } 2>%s/err"):format(binary, kind, folder,
      steps, step, folder))
    lu.assertEquals(code, 137, lstm.readfile(folder .. "/err"))           -- SIGKILL, as the shell tells it
  end
  local code = shell(("%s tests/learn/resumed.lua %s %s %d 2>%s/err"):format(binary, kind, folder, steps, folder))
  lu.assertEquals(code, 0, lstm.readfile(folder .. "/err"))
  return assert(lstm.readfile(folder .. "/result")), assert(lstm.readfile(folder .. "/samples"))
end

-- The samples by step; what was drawn twice must be the same both times.
local function by_step(text)
  local all = {}
  for step, sample in text:gmatch "(%d+)\t([^\n]*)\n" do
    if all[step] then lu.assertEquals(sample, all[step], step) end
    all[step] = sample
  end
  return all
end

local TestKilled = {}

local function check(kind, steps)
  local rng = lstm.rng(os.time())
  local kills = {}
  for i = 1, 3 do kills[i] = math.floor((i - 1 + rng:uniform()) * steps / 3) + 1 end
  local whole, samples = run(kind, "whole", steps, {})
  local result, drawn = run(kind, "killed", steps, kills)
  local where = "killed at " .. table.concat(kills, ", ")
  lu.assertEquals(result, whole, where)
  lu.assertEquals(by_step(drawn), by_step(samples), where)
  local rates = {}
  for line in whole:gmatch "\n(%d+,[^\n]*)" do rates[#rates + 1] = line end
  lu.assertEquals(#rates, math.ceil(steps / 7))
end

function TestKilled.testText() check("text", 90) end
function TestKilled.testShuffledWindows() check("windows", 90) end
function TestKilled.testPair() check("pair", 60) end

local code = lu.LuaUnit.new():runSuiteByInstances{{"TestKilled", TestKilled}}
os.execute("rm -rf " .. base .. "-*")
os.exit(code, true)
