-- scripts/stack.lua as a user runs it: what it prints, what it leaves behind, the sentence for what goes wrong.
local lu = require "luaunit"
local lstm = require "lstm"
local programs = dofile "tests/lua/support/programs.lua"

local run, path, with, check_failure = programs.run, programs.path, programs.with, programs.check_failure
local script = "scripts/stack.lua "
local csv = "examples/data/daily-min-temperatures.csv"
local quick = " --samples 200 --look-back 5 --features 2 --hidden 8 --dense 4 --epochs 3 --verbose 0 "
local short = " --look-back 4 --hidden 4 --dense 3 --epochs 1 --verbose 0 "

-- b is twice the a of the row before.
local function two_columns(n)
  local lines = {"day,a,b"}
  for i = 1, n do lines[i + 1] = ("x%d,%d,%d"):format(i, i * 7 % 10, (i - 1) * 7 % 10 * 2) end
  return table.concat(lines, "\n") .. "\n"
end

local TestStack = {}

function TestStack.testLearnsTheRule()
  local svg, loss, out = path(".svg"), path(".svg"), path()
  local said, err, code = run(script .. quick .. "--dropout 0 --dense 0 --epochs 40 --lr 0.01 --plot " .. svg ..
    " --loss-plot " .. loss .. " --out " .. out)
  lu.assertEquals({err, code}, {"", 0})
  local rmse, mean = said:match("^test RMSE (%S+) mean (%S+)\n$")
  lu.assertTrue(tonumber(rmse) < 0.5 * tonumber(mean), said)
  lu.assertStrContains(assert(lstm.readfile(svg)), ">test samples<")
  lu.assertStrContains(assert(lstm.readfile(loss)), ">validation<")
  lu.assertEquals((run(script .. "--load " .. out)), said)
  local other = run(script .. "--load " .. out .. " --seed 9")
  lu.assertNotEquals(other, said)
  check_failure(script .. csv .. " --load " .. out, out .. " was learned from drawn data: leave FILE out\n")
end

function TestStack.testLayers()
  local out = path()
  run(script .. quick .. "--peephole --out " .. out)
  local text = tostring(assert(lstm.load(out)))
  for _, part in ipairs{"hidden=8", "activation=relu", "peephole", "dropout rate=0.2", "dense"} do
    lu.assertStrContains(text, part)
  end
  lu.assertEquals(select(2, text:gsub("dropout rate", "")), 2)
  run(script .. quick .. "--dense 0 --activation tanh --dropout 0 --out " .. out)
  text = tostring(assert(lstm.load(out)))
  lu.assertNil(text:find("dropout"))
  lu.assertNil(text:find("peephole"))
end

function TestStack.testOneSeedOneResult()
  local first = run(script .. quick .. "--seed 3")
  lu.assertEquals(run(script .. quick .. "--seed 3"), first)
  lu.assertNotEquals(run(script .. quick .. "--seed 4"), first)
end

function TestStack.testTable()
  local file, out, svg = with(two_columns(300), ".csv"), path(), path(".svg")
  local said, err, code = run(script .. file .. " --target b --look-back 3 --hidden 16 --dropout 0 --epochs 40" ..
    " --lr 0.01 --verbose 0 --plot " .. svg .. " --out " .. out)
  lu.assertEquals({err, code}, {"", 0})
  local rmse, mean = said:match("^next value of b: %S+\ntest RMSE (%S+) mean (%S+)\n$")
  lu.assertTrue(tonumber(rmse) < 0.2 * tonumber(mean), said)
  lu.assertStrContains(assert(lstm.readfile(svg)), "</svg>")
  lu.assertEquals((run(script .. file .. " --load " .. out)), said)
  local few, note = run(script .. with(two_columns(4)) .. " --load " .. out)
  lu.assertStrMatches(few, "next value of b: %-?%d+%.?%d*\n")
  lu.assertStrContains(note, "has 4 rows, too few to test the model on\n")
  check_failure(script .. with(two_columns(2)) .. " --load " .. out, "2 rows, too few: the model looks at the last 3")
  check_failure(script .. csv .. " --load " .. out, csv .. ': unknown column "b"')
  check_failure(script .. "--load " .. out, out .. " was learned from a table: give FILE\n")
end

function TestStack.testResumeIsTheSameRun()
  local saved = path()
  local options = script .. csv .. short .. "--dropout 0.2 "
  local expected = run(options .. "--epochs 2")
  run(options .. "--checkpoint " .. saved)
  local resume = script .. csv .. " --verbose 0 --resume " .. saved
  local got, err = run(resume .. " --epochs 2")
  lu.assertEquals(err, "")
  lu.assertEquals(got, expected)
  check_failure(resume .. " --epochs 2", "is already at epoch 2; --epochs counts from the beginning, so 2 leaves")
  check_failure(resume .. " --epochs 3 --peephole", "--peephole conflicts with no --peephole, which " .. saved)
end

function TestStack.testReport()
  local html = path(".html")
  local _, err, code = run(script .. quick .. "--epochs 1 --report " .. html)
  lu.assertEquals({err, code}, {"", 0})
  local page = assert(lstm.readfile(html))
  for _, part in ipairs{"lstm hidden=8", "<svg", "</html>"} do lu.assertTrue(page:find(part, 1, true) ~= nil, part) end
end

local TestWrongUses = {}

function TestWrongUses.testSentences()
  check_failure(script .. "--hiden 3", "stack.lua: unknown option --hiden, did you mean --hidden?\n", 2)
  check_failure(script .. "--peephole=1", "stack.lua: --peephole takes no value\n", 2)
  check_failure(script .. "--test 1", "--test must be a number above 0 and below 1, got \"1\"\n", 2)
  check_failure(script .. "--target b", "stack.lua: --target belongs to a FILE\n", 2)
  check_failure(script .. "--samples 50 --test 0.999", "--samples 50 are too few for --test 0.999 and --val 0.1\n")
  check_failure(script .. "no/such.csv", "stack.lua: cannot read no/such.csv: No such file or directory\n")
  check_failure(script .. with "", "is empty")
  check_failure(script .. with("a,b\nx,y\n"), "stack.lua: ")
  local file = with(two_columns(300), ".csv")
  check_failure(script .. file, file .. " has 2 columns of numbers (a, b): say which one with --target\n")
  check_failure(script .. file .. " --target c", 'stack.lua: --target: unknown column "c"')
  check_failure(script .. file .. " --columns a,c", 'unknown column "c"')
  check_failure(script .. with(two_columns(20)) .. " --target b",
    "has 20 rows, too few: 14 of them are left to learn from, --look-back 50 and --ahead 1 need 51\n")
  check_failure(script .. with("a,b\n1,2\n3,\n"), "(--missing interpolate or --missing drop accepts that)\n")
  check_failure(script .. "--out tests", "--out tests is a folder: give the name of a file\n")
  check_failure(script .. "--load " .. csv, csv .. ": this is not a safetensors file")
  programs.check_help(script, {"hidden", "peephole", "dropout", "seed", "out", "plot", "load", "epochs", "target"})
end

programs.finish{TestStack = TestStack, TestWrongUses = TestWrongUses}
