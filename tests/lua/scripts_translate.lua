-- scripts/translate.lua as a user runs it: what it prints, what it leaves behind, the sentence for what goes wrong.
local lu = require "luaunit"
local lstm = require "lstm"
local programs = dofile "tests/lua/support/programs.lua"

local run, path, with, check_failure = programs.run, programs.path, programs.with, programs.check_failure

-- Sentences about numbers, and the same in a made-up language: name, tab, translation.
local function sentences(columns)
  local lines, words = {}, {"one", "two", "three", "four"}
  local theirs = {one = "un", two = "deux", three = "trois", four = "quatre"}
  for i = 1, 240 do
    local a, b = words[i % 4 + 1], words[math.floor(i / 4) % 4 + 1]
    local part = i % 10 == 0 and "test" or i % 10 == 1 and "val" or "train"
    local pair = ("i see %s and %s .\tje vois %s et %s ."):format(a, b, theirs[a], theirs[b])
    lines[i] = columns == 3 and part .. "\t" .. pair or pair
  end
  return table.concat(lines, "\n") .. "\n"
end

local short = " --hidden 24 --embedding 8 --batch 8 --lr 0.02 --verbose 0 --epochs 4 "

local TestTranslate = {}

function TestTranslate.testLearnsAndTranslates()
  for _, columns in ipairs{2, 3} do
    local out = path()
    local command = "scripts/translate.lua " .. with(sentences(columns), ".tsv")
    local said, err, code = run(command .. short .. "--epochs 8 --sentences 3 --out " .. out)
    for _, suffix in ipairs{".encoder", ".decoder"} do programs.remove_later(out .. suffix) end
    lu.assertEquals(code, 0, err)
    lu.assertEquals(err, "")
    local losses = {}
    for loss in said:gmatch("validation (%d%.%d+) nats/word") do losses[#losses + 1] = tonumber(loss) end
    lu.assertEquals(#losses, 8)
    lu.assertTrue(losses[8] < losses[1] / 3)
    lu.assertEquals(select(2, said:gsub("\n  given:   je vois [^\n]*\n  network: je vois ", "")), 3)
    lu.assertStrMatches(said, ".*\ntest %d%.%d+ nats/word\n")
    check_failure(command .. " --resume " .. out, "is a pair of networks, not a checkpoint of a run")
    check_failure(command .. " --load " .. out .. " --lr 1", "--lr has no effect with --load")
    local again, problem = run(command .. " --load " .. out .. " --sentences 3")
    lu.assertEquals(problem, "")
    lu.assertEquals(again:match("\ntest .*"), said:match("\ntest .*"))
    local given, network = again:match("\n(i see[^\n]*)\n  given:[^\n]*\n  network: ([^\n]*)")
    for _, suffix in ipairs{"", ".encoder", ".decoder"} do
      local one = run(("scripts/translate.lua --load %s%s --text '%s'"):format(out, suffix, given))
      lu.assertEquals(one, network .. "\n")
    end
    local _, unknown = run(("scripts/translate.lua --load %s --text 'i see xyz'"):format(out))
    lu.assertStrContains(unknown, '"xyz" is no word that was learned')
    check_failure(command .. " --text x --load " .. out, "FILE has no effect with --text")
  end
end

function TestTranslate.testResumeIsTheSameRun()
  local run_path, pairs_path = path(), with(sentences(3), ".tsv")
  for _, suffix in ipairs{".encoder", ".decoder"} do programs.remove_later(run_path .. suffix) end
  local command = "scripts/translate.lua " .. pairs_path
  local whole = run(command .. short .. "--sentences 0 --dropout 0.1 --epochs 3")
  run(command .. short .. "--sentences 0 --dropout 0.1 --epochs 2 --checkpoint " .. run_path)
  local resume = command .. " --verbose 0 --sentences 0 --resume " .. run_path
  local resumed, err = run(resume .. " --epochs 3")
  lu.assertEquals(err, "")
  lu.assertStrMatches(resumed, "epoch 3: .*")
  lu.assertStrContains(whole, resumed)
  check_failure(resume .. " --epochs 3", "is already at epoch 3; --epochs counts from the beginning")
  check_failure(resume .. " --epochs 4 --hidden 25", "--hidden 25 conflicts with --hidden 24")
end

-- Dates without a file: few of them and a short run, so that hardly a character is right.
local dates = "scripts/translate.lua --pairs 400 --embedding 8 --hidden 24 --lr 0.02 --verbose 0 --sentences 2 "

function TestTranslate.testDates()
  local out, svg, html = path(), path(".svg"), path(".html")
  for _, suffix in ipairs{".encoder", ".decoder"} do programs.remove_later(out .. suffix) end
  local said, err, code = run(dates .. "--epochs 2 --out " .. out .. " --plot " .. svg .. " --report " .. html)
  lu.assertEquals({err, code}, {"", 0})
  lu.assertStrMatches(said, "epoch 1: .* nats/character, .*\n  given:   [12]%d%d%d%-%d%d%-%d%d\n.*" ..
    "\ntest accuracy %d+%.%d %%\n")
  lu.assertStrContains(assert(lstm.readfile(svg)), "</svg>")
  lu.assertTrue(assert(lstm.readfile(html)):find("encoder:", 1, true) ~= nil)
  lu.assertEquals((run(dates .. "--epochs 2")), said)
  local load = "scripts/translate.lua --load " .. out
  lu.assertEquals(run(load .. " --sentences 2 --verbose 0"), said:match("\n(\n.*)"))
  local text = " --text 'The THIRD of may 1999'"
  local one = run(load .. text)
  lu.assertStrMatches(one, "[%d-]+\n")
  lu.assertEquals(run(load .. text .. " --beam 1"), one)
  local best = run(load .. text .. " --best 3 --beam 4")
  lu.assertEquals(select(2, best:gsub("[%d-]*\t%-?%d+%.%d%d%d\n", "")), 3, best)
  check_failure(load .. " --text 'm\195\164y'", '--text: "\195\164" is no character that was learned\n')
  check_failure(load .. " --pairs 100", "--pairs has no effect with --load")
  check_failure("scripts/translate.lua x --load " .. out, out .. " was learned from dates of its own: leave FILE out")
end

-- What a date is written as, and that no day is in two of the sets: by the sentences of a run that shows all.
function TestTranslate.testDatesAreRight()
  local said = run("scripts/translate.lua --pairs 3000 --embedding 2 --hidden 2 --epochs 1 --batch 1000 --verbose 0" ..
    " --sentences 300")
  local seen, forms = {}, 0
  for text, year, month, day in said:gmatch("\n\n([^\n]*)\n  given:   (%d+)%-(%d+)%-(%d+)\n") do
    local time = os.date("*t", os.time{year = tonumber(year), month = tonumber(month), day = tonumber(day), hour = 12})
    lu.assertEquals({time.month, time.day}, {tonumber(month), tonumber(day)})
    lu.assertNil(seen[year .. month .. day])
    seen[year .. month .. day] = true
    local name = text:match("%f[%a](%a%a%a)%a*day%f[%A]") or text:match("%f[%a](%a+) %d") or ""
    for i, weekday in ipairs{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} do
      if name == weekday then
        lu.assertEquals(time.wday, i, text)
        forms = forms + 1
      end
    end
    local number = text:match("^(%d+)%.")
    if number then lu.assertEquals(text, ("%d.%d.%d"):format(day, month, year)) end
  end
  lu.assertTrue(forms > 30)
end

function TestTranslate.testSymbols()
  local file = with(sentences(2), ".tsv")
  local said, err = run("scripts/translate.lua " .. file .. short .. "--epochs 1 --symbols characters --sentences 0")
  lu.assertEquals(err, "")
  lu.assertStrMatches(said, ".*\ntest %d%.%d+ nats/character\n")
  said = run(dates .. "--epochs 1 --symbols words")
  lu.assertStrMatches(said, "epoch 1: .* nats/character, .*\ntest accuracy %d+%.%d %%\n")
end

local TestWrongUses = {}

function TestWrongUses.testSentences()
  check_failure("scripts/translate.lua /nonexistent", "translate.lua: cannot read /nonexistent")
  check_failure("scripts/translate.lua " .. with("a b\n", ".tsv"), ":1: a sentence, a tab and its translation expected")
  check_failure("scripts/translate.lua " .. with("train\ta\tb\nx\ta\tb\n", ".tsv"), ":2: a sentence, a tab")
  check_failure("scripts/translate.lua " .. with("train\ta\tb\n", ".tsv"), "has no pairs for val")
  check_failure("scripts/translate.lua " .. with("a\tb\n", ".tsv"), "has 1 pair, too few: without a first column")
  check_failure("scripts/translate.lua " .. with(("a\tb\n"):rep(9), ".tsv"), "so 10 are needed")
  for _, file in ipairs{with(sentences(2), ".tsv"), "/no/pairs"} do
    check_failure("scripts/translate.lua " .. file .. " --load /nonexistent", "cannot read /nonexistent.encoder")
  end
  local empty = with "\n"
  check_failure("scripts/translate.lua " .. empty, empty .. " is empty: lines with a sentence, a tab and its")
  check_failure("scripts/translate.lua " .. with(sentences(2)) .. " --pairs 100", "--pairs has no effect with FILE", 2)
  check_failure("scripts/translate.lua --symbols letters", '--symbols must be one of "words" and "characters"', 2)
  check_failure("scripts/translate.lua --loss-plot tests", "--loss-plot tests is a folder: give the name of a file\n")
  programs.check_help("scripts/translate.lua", {"beam", "seed", "out", "load", "text", "loss-plot"})
  check_failure("scripts/translate.lua x --text a", "--text needs --load PATH", 2)
  check_failure("scripts/translate.lua x --hiden 3", "unknown option --hiden, did you mean --hidden?", 2)
end

programs.finish{TestTranslate = TestTranslate, TestWrongUses = TestWrongUses}
