-- scripts/cell.lua as a user runs it: what it prints, what it leaves behind, the sentence for what goes wrong.
local lu = require "luaunit"
local lstm = require "lstm"
local programs = dofile "tests/lua/support/programs.lua"

local run, path, with, check_failure = programs.run, programs.path, programs.with, programs.check_failure
local script = "scripts/cell.lua "
local csv = "examples/data/daily-min-temperatures.csv"

-- The numbers of a printed row, such as "  i    0.1  0.2   input gate".
local function row(text, name)
  local numbers, list = {}, text:match("\n  " .. name .. " ([%s%d.-]+)")
  for number in list:gmatch("%S+") do numbers[#numbers + 1] = tonumber(number) end
  return numbers
end

local TestCell = {}

function TestCell.testGatesAreTheEquations()
  local out, err, code = run(script .. "--steps 1 --hidden 3 --inputs 2 --seed 5")
  lu.assertEquals({err, code}, {"", 0})
  lu.assertEquals(#row(out, "x"), 2)
  local i, g, o, c, h = row(out, "i"), row(out, "g"), row(out, "o"), row(out, "c"), row(out, "h")
  lu.assertEquals(#h, 3)
  for k = 1, 3 do
    lu.assertAlmostEquals(c[k], i[k] * g[k], 2e-5)                       -- nothing to forget at the first step
    local e = math.exp(2 * c[k])
    lu.assertAlmostEquals(h[k], o[k] * (e - 1) / (e + 1), 2e-5)
  end
  local difference = tonumber(out:match("largest difference from the library: (%S+) %(.* of cell %d, step 1%)\n$"))
  lu.assertTrue(difference < 1e-6)
end

function TestCell.testSeedsAndWeights()
  lu.assertEquals(run(script .. "--seed 3"), (run(script .. "--seed 3")))
  lu.assertNotEquals(run(script .. "--seed 3"), (run(script .. "--seed 4")))
  local out, svg = path(), path(".svg")
  local said = run(script .. "--hidden 200 --inputs 50 --steps 2 --out " .. out .. " --plot " .. svg)
  lu.assertStrContains(said, "step 2\n")
  lu.assertStrContains(assert(lstm.readfile(svg)), ">forget gate<")
  local weights = assert(lstm.load(out)):tensor "rnn.weight_hh_l0"       -- 160,000 numbers from N(0, 1)
  lu.assertAlmostEquals(weights:mean(), 0, 0.01)
  lu.assertAlmostEquals((weights * weights):mean(), 1, 0.02)
end

function TestCell.testFileAndModel()
  local out = path()
  local said, err = run(script .. csv .. " --steps 300 --out " .. out)
  lu.assertStrContains(said, "\nstep 300\n")
  lu.assertEquals(err, "model: " .. out .. "\n")
  lu.assertEquals((run(script .. csv .. " --steps 300 --load " .. out)), said)
  local trained = path()
  assert(lstm.model{input = 1, hidden = 7, output = 1}:save(trained))
  said = run(script .. csv .. " --load " .. trained)
  lu.assertEquals(#row(said, "h"), 7)
end

-- Too strict a tolerance shows that the check can fail.
function TestCell.testDifferenceIsAFailure()
  local out, err, code = run(script .. "--tolerance 1e-30")
  lu.assertStrContains(out, "largest difference")
  lu.assertEquals({err, code}, {"cell.lua: that is more than --tolerance 1e-30\n", 1})
end

local TestWrongUses = {}

function TestWrongUses.testSentences()
  check_failure(script .. "--step 3", "cell.lua: unknown option --step, did you mean --steps?\n", 2)
  check_failure(script .. "--steps 0", "cell.lua: --steps must be a whole number from 1 to 100000, got \"0\"\n", 2)
  check_failure(script .. "--inputs", "cell.lua: --inputs needs a value\n", 2)
  check_failure(script .. "a b", 'cell.lua: "b" is one argument too many\n', 2)
  check_failure(script .. "--cell 5", "cell.lua: --cell 5: there are only 4 cells\n")
  check_failure(script .. "no/such.csv", "cell.lua: cannot read no/such.csv: No such file or directory\n")
  check_failure(script .. with "", "is empty")
  check_failure(script .. csv .. " --inputs 2", "--inputs has no effect with FILE, which has its own\n")
  check_failure(script .. "--load " .. csv, csv .. ": this is not a safetensors file")
  check_failure(script .. "--plot tests", "--plot tests is a folder: give the name of a file\n")
  local function saved(layer)
    local file = path()
    assert(lstm.model{input = 2, layer, output = 1}:save(file))
    return file
  end
  local plain = saved(lstm.lstm(3))
  check_failure(script .. "--load " .. plain .. " --hidden 3", "--hidden has no effect with --load")
  check_failure(script .. csv .. " --load " .. plain, csv .. " has 1 column, " .. plain .. " wants 2 inputs\n")
  for _, layer in ipairs{lstm.gru(3), lstm.lstm{3, peephole = true}, lstm.lstm{3, activation = "relu"}} do
    check_failure(script .. "--load " .. saved(layer), "the first layer is no plain LSTM, which is all that this")
  end
  programs.check_help(script, {"inputs", "hidden", "steps", "seed", "out", "plot", "load", "tolerance"})
end

programs.finish{TestCell = TestCell, TestWrongUses = TestWrongUses}
