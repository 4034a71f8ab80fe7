-- scripts/sentiment.lua as a user runs it: what it prints, what it leaves behind, the sentence for what goes wrong.
local lu = require "luaunit"
local lstm = require "lstm"
local programs = dofile "tests/lua/support/programs.lua"

local run, path, with, check_failure = programs.run, programs.path, programs.with, programs.check_failure
local script = "scripts/sentiment.lua "

-- Sentences of one kind: one word gives it away. \233 is no UTF-8.
local function lines(word)
  local list, others = {}, {"the", "a", "film", "caf\233", "story"}
  for i = 1, 80 do
    list[i] = ("%s %s %s %s"):format(others[i % 5 + 1], i % 3 == 0 and word or others[i % 4 + 1],
      i % 3 == 1 and word or others[i % 2 + 1], i % 3 == 2 and word or "")
  end
  return table.concat(list, "\n") .. "\n"
end

local good, bad = with(lines "Lovely"), with(lines "dreadful")
local files = script .. good .. " " .. bad
local quick = " --hidden 8 --embed 8 --batch 16 --epochs 10 --lr 0.02 --verbose 0 "

local TestSentiment = {}

function TestSentiment.testLearnsAndAnswers()
  local out, svg = path(), path(".svg")
  local said, err, code = run(files .. quick .. "--out " .. out .. " --loss-plot " .. svg)
  lu.assertEquals({err, code}, {"", 0})
  lu.assertStrMatches(said, "test accuracy 100.0 %% loss 0%.%d+ nats\n")
  lu.assertStrContains(assert(lstm.readfile(svg)), "</svg>")
  local load = script .. "--load " .. out
  lu.assertStrMatches((run(load .. " --text 'a LOVELY film'")), "positive %d+%.%d %%\n")
  local answer, note = run(load .. " --text 'a dreadful xyz'")
  lu.assertStrMatches(answer, "negative %d+%.%d %%\n")
  lu.assertEquals(note, '"xyz" is no word that was learned\n')
  lu.assertEquals((run(load .. " --verbose 0 " .. good .. " " .. bad .. " --plot " .. svg)), said)
  lu.assertStrContains(assert(lstm.readfile(svg)), ">positive<")
end

function TestSentiment.testModelTakesRawSentences()
  local out = path()
  run(files .. quick .. "--labels good,bad --out " .. out)
  local model = assert(lstm.load(out))
  lu.assertEquals(model:classify{x = {"the lovely story", "dreadful"}}, {"good", "bad"})
end

function TestSentiment.testOneSeedOneResult()
  local command = files .. quick .. "--epochs 1 --bidirectional --val 0.2 --seed "
  lu.assertEquals(run(command .. "3"), (run(command .. "3")))
  lu.assertNotEquals(run(command .. "4"), (run(command .. "3")))
end

function TestSentiment.testResumeIsTheSameRun()
  local saved = path()
  local expected = run(files .. quick .. "--epochs 3")
  run(files .. quick .. "--epochs 2 --checkpoint " .. saved)
  local resume = files .. " --verbose 0 --resume " .. saved
  local got, err = run(resume .. " --epochs 3")
  lu.assertEquals(err, "")
  lu.assertEquals(got, expected)
  check_failure(resume .. " --epochs 3", "is already at epoch 3; --epochs counts from the beginning, so 3 leaves")
  check_failure(resume .. " --epochs 4 --hidden 9", "--hidden 9 conflicts with --hidden 8, which " .. saved)
end

function TestSentiment.testReport()
  local html = path(".html")
  local _, err, code = run(files .. quick .. "--epochs 1 --report " .. html)
  lu.assertEquals({err, code}, {"", 0})
  local page = assert(lstm.readfile(html))
  for _, part in ipairs{"lstm hidden=8", "<svg", "</html>"} do lu.assertTrue(page:find(part, 1, true) ~= nil, part) end
end

local TestWrongUses = {}

function TestWrongUses.testSentences()
  check_failure(script, "sentiment.lua: POSITIVE is missing\n", 2)
  check_failure(script .. good, "sentiment.lua: NEGATIVE is missing\n", 2)
  check_failure(files .. " x", 'sentiment.lua: "x" is one argument too many\n', 2)
  check_failure(files .. " --hiden 3", "sentiment.lua: unknown option --hiden, did you mean --hidden?\n", 2)
  check_failure(files .. " --dropout 1",
    'sentiment.lua: --dropout must be a number of at least 0 and below 1, got "1"\n', 2)
  check_failure(script .. good .. " no/such", "sentiment.lua: cannot read no/such: No such file or directory\n")
  local empty = with ""
  check_failure(script .. good .. " " .. empty, empty .. " is empty: one sentence a line was expected\n")
  check_failure(script .. good .. " " .. with "one\ntwo\n",
    "has 2 sentences, too few: every tenth is tested on, so 10 are needed\n")
  check_failure(script .. good .. " " .. with "a\0b", "is not a text file: it has zero bytes\n")
  check_failure(files .. " --labels good", '--labels wants two names with a comma between them, got "good"\n')
  check_failure(files .. " --out tests", "--out tests is a folder: give the name of a file\n")
  check_failure(script .. "--load no/such", "sentiment.lua: cannot read no/such: No such file or directory\n")
  check_failure(files .. " --load " .. good, good .. ": this is not a safetensors file")
  local other = path()
  assert(lstm.model{input = 1, hidden = 2, output = 1}:save(other))
  check_failure(script .. "--load " .. other,
    other .. " was not made by lstm sentiment: use it in Lua, with lstm.load and model:classify\n")
  check_failure(files .. " --resume " .. other,
    other .. " was not made by lstm sentiment: use it in Lua, with lstm.load and model:classify\n")
end

function TestWrongUses.testWithAModel()
  local out = path()
  run(files .. quick .. "--epochs 1 --out " .. out)
  check_failure(script .. "--load " .. out .. " --lr 1", "--lr has no effect with --load")
  check_failure(script .. "--load " .. out .. " --text ' '", "--text is empty\n")
  check_failure(script .. "--load " .. out, "POSITIVE is missing\n", 2)
  check_failure(files .. " --resume " .. out, "is a model, not a checkpoint of a run: --checkpoint makes one")
  programs.check_help(script, {"text", "seed", "out", "plot", "load", "epochs", "dropout", "least"})
end

programs.finish{TestSentiment = TestSentiment, TestWrongUses = TestWrongUses}
