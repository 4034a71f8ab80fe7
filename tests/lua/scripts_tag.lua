-- scripts/tag.lua as a user runs it: what it prints, what it leaves behind, the sentence for what goes wrong.
local lu = require "luaunit"
local lstm = require "lstm"
local programs = dofile "tests/lua/support/programs.lua"

local run, path, with, check_failure = programs.run, programs.path, programs.with, programs.check_failure
local script = "scripts/tag.lua "

-- Sentences where "run" is a noun after "the" and a verb elsewhere.
local function sentences(n)
  local list, who = {}, {"They", "we", "you", "i"}
  for i = 1, n do
    list[i] = i % 3 == 0 and ("# number %d\nthe\tDET\nrun\tNOUN\nends\tVERB\n"):format(i) or
      ("%s\tPRON\nrun\tVERB\nnow\tADV\n.\tPUNCT\n"):format(who[i % 4 + 1])
  end
  return table.concat(list, "\n") .. "\n"
end

local file = with(sentences(80), ".tsv")
local quick = " --hidden 8 --embed 8 --batch 8 --epochs 8 --lr 0.02 --verbose 0 "

local TestTag = {}

function TestTag.testLearnsAndTags()
  local out, svg = path(), path(".svg")
  local said, err, code = run(script .. file .. quick .. "--out " .. out .. " --loss-plot " .. svg)
  lu.assertEquals({err, code}, {"", 0})
  lu.assertEquals(said, "test accuracy 100.0 % most frequent tag 93.3 %\n")
  lu.assertStrContains(assert(lstm.readfile(svg)), "</svg>")
  local load = script .. "--load " .. out
  lu.assertEquals((run(load .. " --text 'The run'")), "The\tDET\nrun\tNOUN\n")
  lu.assertEquals((run(load .. " --text 'We run'")), "We\tPRON\nrun\tVERB\n")
  lu.assertEquals((run(load .. " --verbose 0 " .. file .. " --plot " .. svg)), said)
  lu.assertStrContains(assert(lstm.readfile(svg)), ">PRON<")
end

function TestTag.testTestFileOfItsOwn()
  local test = with "the\tDET\nrun\tNOUN\nends\tVERB\nhere\tFOO\n"
  local said, err = run(script .. file .. " " .. test .. quick:gsub("%-%-verbose 0", ""))
  lu.assertStrContains(said, "test accuracy 100.0 % ")
  lu.assertStrContains(err, "1 word of the test has a tag that was not learned, and does not count\n")
  lu.assertStrContains(err, "80 sentences to learn from; 11 words, 6 tags;")
end

function TestTag.testOneSeedOneResult()
  local function shot(seed)
    local out = path()
    run(script .. file .. quick .. "--epochs 1 --dropout 0.2 --val 0.2 --seed " .. seed .. " --out " .. out)
    return lstm.readfile(out)
  end
  local first = shot(3)
  lu.assertTrue(shot(3) == first)
  lu.assertFalse(shot(4) == first)
end

function TestTag.testResumeIsTheSameRun()
  local saved = path()
  local expected = run(script .. file .. quick .. "--epochs 3")
  run(script .. file .. quick .. "--epochs 2 --checkpoint " .. saved)
  local resume = script .. file .. " --verbose 0 --resume " .. saved
  local got, err = run(resume .. " --epochs 3")
  lu.assertEquals(err, "")
  lu.assertEquals(got, expected)
  check_failure(resume .. " --epochs 2", "is already at epoch 3; --epochs counts from the beginning, so 2 leaves")
  check_failure(resume .. " --epochs 4 --lr 1", "--lr 1 conflicts with --lr 0.02, which " .. saved)
end

function TestTag.testReport()
  local html = path(".html")
  local _, err, code = run(script .. file .. quick .. "--epochs 1 --report " .. html)
  lu.assertEquals({err, code}, {"", 0})
  local page = assert(lstm.readfile(html))
  for _, part in ipairs{"lstm hidden=8", "<svg", "</html>"} do lu.assertTrue(page:find(part, 1, true) ~= nil, part) end
end

local TestWrongUses = {}

function TestWrongUses.testSentences()
  check_failure(script, "tag.lua: TRAIN is missing\n", 2)
  check_failure(script .. "a b c", 'tag.lua: "c" is one argument too many\n', 2)
  check_failure(script .. file .. " --epoch 3", "tag.lua: unknown option --epoch, did you mean --epochs?\n", 2)
  check_failure(script .. file .. " --init best",
    'tag.lua: --init must be one of "default" and "pytorch", got "best"\n', 2)
  check_failure(script .. "no/such", "tag.lua: cannot read no/such: No such file or directory\n")
  check_failure(script .. file .. " no/such", "tag.lua: cannot read no/such: No such file or directory\n")
  local empty = with "\n\n"
  check_failure(script .. empty, empty .. " is empty: lines with a word, a tab and its tag were expected\n")
  local text = with "Once upon a time\n"
  check_failure(script .. text, text .. ":1: a word, a tab and its tag expected, or an empty line between sentences\n")
  check_failure(script .. with "a\tA\nb\tB\tC\n", ":2: a word, a tab and its tag expected")
  check_failure(script .. with "a\tA\n", "has 1 sentence, too few: without TEST every tenth is tested on, so 10")
  check_failure(script .. with(("a\tA\n\n"):rep(20)), "has only one tag, A: nothing can be learned from it\n")
  check_failure(script .. file .. " --plot tests", "--plot tests is a folder: give the name of a file\n")
  check_failure(script .. "--load " .. file, file .. ": this is not a safetensors file")
end

function TestWrongUses.testWithAModel()
  local out = path()
  run(script .. file .. quick .. "--epochs 1 --out " .. out)
  check_failure(script .. "--load " .. out .. " --hidden 8", "--hidden has no effect with --load")
  check_failure(script .. "--load " .. out .. " --text ''", "--text is empty\n")
  check_failure(script .. "--load " .. out, "TRAIN is missing\n", 2)
  check_failure(script .. file .. " --resume " .. out, "is a model, not a checkpoint of a run: --checkpoint makes one")
  programs.check_help(script, {"text", "seed", "out", "plot", "load", "epochs", "dropout", "least"})
end

programs.finish{TestTag = TestTag, TestWrongUses = TestWrongUses}
