-- scripts/chars.lua as a user runs it: what it prints, what it leaves behind, and the sentence for what goes wrong.
local lu = require "luaunit"
local lstm = require "lstm"
local programs = dofile "tests/lua/support/programs.lua"

local run, path, with, check_failure = programs.run, programs.path, programs.with, programs.check_failure

local verse = ("the quick brown fox jumps over the lazy dog.\n"):rep(60)
local small = " --hidden 8 --embed 4 --seq 8 --batch 4 --validate-every 10 --steps 20 --verbose 0 --sample 40 "

local TestChars = {}

function TestChars.testLearnsAndWrites()
  local out, err, code = run("scripts/chars.lua " .. with(verse) .. small)
  lu.assertEquals(code, 0, err)
  lu.assertStrMatches(out, ".*\nvalidation %d%.%d+ nats/char\n")
  lu.assertTrue(#out > 60)
  lu.assertEquals(err, "")
end

function TestChars.testOneSeedOneResult()
  local text = with(verse)
  local first = run("scripts/chars.lua " .. text .. small .. "--seed 7 --init pytorch")
  lu.assertEquals(run("scripts/chars.lua " .. text .. small .. "--seed 7 --init pytorch"), first)
  lu.assertNotEquals(run("scripts/chars.lua " .. text .. small .. "--seed 8 --init pytorch"), first)
end

function TestChars.testOldSpellings()
  local out, err = run("scripts/chars.lua " .. with(verse) ..
    " -rnn_size 8 --embed 4 -seq_length 8 -batch_size 4 --steps 5 --verbose 0" ..
    " -temperature 0.5 -primetext the -length 9")
  lu.assertEquals(err, "")
  lu.assertStrMatches(out, "the.*\nvalidation %d%.%d+ nats/char\n")
end

function TestChars.testSampleZeroPrintsOneLine()
  local out = run("scripts/chars.lua " .. with(verse) .. small .. "--sample 0")
  lu.assertStrMatches(out, "validation %d%.%d+ nats/char\n")
end

function TestChars.testUtf8AndSeveralLayers()
  local out, err = run("scripts/chars.lua " .. with(verse .. "é€") .. small ..
    "--vocab utf8 --layers 2 --dropout 0.1 --clip 0 --patience 3 --optimizer rmsprop")
  lu.assertEquals(err, "")
  lu.assertStrContains(out, "validation ")
end

function TestChars.testOutLoads()
  local out = path(".safetensors")
  local said, err = run("scripts/chars.lua " .. with(verse) .. small .. "--out " .. out)
  lu.assertEquals(err, "")
  local model = assert(lstm.load(out))
  local tokens = model.vocab:encode(verse)
  local _, validation = tokens:split(0.9)
  local loss = model:evaluate(validation).loss
  lu.assertStrContains(said, ("validation %.4f nats/char"):format(loss))
end

function TestChars.testResumeIsTheSameRun()
  local text, half, whole, resumed = with(verse), path(), path(), path()
  local options = "scripts/chars.lua " .. text .. small .. "--dropout 0.2 "
  local expected = run(options .. "--steps 20 --out " .. whole)
  run(options .. "--steps 10 --checkpoint " .. half)
  local got, err = run("scripts/chars.lua " .. text .. " --resume " .. half ..
    " --steps 20 --verbose 0 --sample 40 --out " .. resumed)
  lu.assertEquals(err, "")
  lu.assertEquals(got, expected)
  local a, b = assert(lstm.load(whole)), assert(lstm.load(resumed))
  for _, name in ipairs(a:tensors()) do
    lu.assertTrue(a:tensor(name):bytes() == b:tensor(name):bytes())
  end
end

function TestChars.testCtrlCKeepsTheRun()
  local text, whole, resumed, saved, said = with(verse), path(), path(), path(), path()
  local options = "scripts/chars.lua " .. text .. " --hidden 16 --embed 8 --seq 16 --batch 4 --steps 1000" ..
    " --validate-every 100 --dropout 0.1 --verbose 0 --sample 20 "
  local expected = run(options .. "--out " .. whole)
  -- waits for the first checkpoint, then interrupts
  local pipe = assert(io.popen(('%s %s --steps 100000000 --checkpoint %s 2>%s & p=$!; n=0\n' ..
    'while [ ! -s %s ] && [ $n -lt 600 ]; do n=$((n + 1)); sleep 0.05; done; kill -INT $p; wait $p; echo $?'):format(
    programs.host, options, saved, said, saved)))
  local code = pipe:read("a")
  pipe:close()
  lu.assertEquals(code, "130\n")
  local message = lstm.readfile(said)
  lu.assertStrMatches(message, "chars%.lua: interrupted after step %d+ of 100000000; go on with " ..
    "%S+ scripts/chars%.lua %S+ %-%-resume %S+ %-%-sample 20 %-%-verbose 0\n")
  local done = tonumber(message:match("after step (%d+)"))
  lu.skipIf(done > 1000, "the machine was too fast for this test")
  local got, err = run("scripts/chars.lua " .. text .. " --resume " .. saved ..
    " --steps 1000 --verbose 0 --sample 20 --out " .. resumed)
  lu.assertEquals(err, "")
  lu.assertEquals(got, expected)
  local a, b = assert(lstm.load(whole)), assert(lstm.load(resumed))
  for _, name in ipairs(a:tensors()) do lu.assertTrue(a:tensor(name):bytes() == b:tensor(name):bytes()) end
end

function TestChars.testFailures()
  check_failure("scripts/chars.lua no/such/file.txt", "cannot read no/such/file.txt: No such file")
  check_failure("scripts/chars.lua .", "cannot read .: Is a directory")
  check_failure("scripts/chars.lua " .. with(""), "is empty, there is nothing to learn from")
  check_failure("scripts/chars.lua " .. with("short"), "too few")
  check_failure("scripts/chars.lua " .. with(verse .. "\255") .. " --vocab utf8", "not UTF-8 at line 61, column 1")
  check_failure("scripts/chars.lua " .. with(verse) .. small .. "--out no/such/folder/x", "no/such/folder/x")
  check_failure("scripts/chars.lua " .. with(verse) .. " --resume " .. with("nonsense"),
    "this is not a safetensors file")
  local model = path()
  run("scripts/chars.lua " .. with(verse) .. small .. "--out " .. model)
  check_failure("scripts/chars.lua " .. with(verse) .. " --verbose 0 --resume " .. model, "not a checkpoint of a run")
  local saved = path()
  run("scripts/chars.lua " .. with(verse) .. small .. "--checkpoint " .. saved)
  check_failure("scripts/chars.lua " .. with(verse .. "#") .. " --verbose 0 --steps 30 --resume " .. saved,
    "is not the text that")
  check_failure("scripts/chars.lua " .. with(verse) .. small .. "--val 0.99", "--val 0.99 leaves")
end

function TestChars.testMistakesAreFoundBeforeTraining()
  local text = with(verse)
  local long = "scripts/chars.lua " .. text .. " --steps 100000000 "
  check_failure(long .. "--prime 'the \195\132'", '--prime: "\195\132" does not occur in the text')
  check_failure(long .. "--vocab utf8 --prime X", '--prime: "X" does not occur in the text')
  for _, name in ipairs{"--out", "--checkpoint", "--loss-plot"} do
    check_failure(long .. name .. " tests", name .. " tests is a folder")
  end
end

function TestChars.testResumeWithNothingToDo()
  local text, saved = with(verse), path()
  run("scripts/chars.lua " .. text .. small .. "--checkpoint " .. saved)
  local bytes = lstm.readfile(saved)
  local again = "scripts/chars.lua " .. text .. " --resume " .. saved
  check_failure(again .. " --steps 10", "is already at step 20; --steps counts from the beginning, so 10 leaves")
  check_failure(again, "so 20 leaves nothing to do")
  check_failure(again .. " --steps 30 --hidden 9", "--hidden 9 conflicts with --hidden 8, which " .. saved)
  check_failure(again .. " --steps 30 --lr 0.5", "--lr 0.5 conflicts with --lr 0.002")
  lu.assertTrue(lstm.readfile(saved) == bytes)
  local _, err, code = run(again .. " --steps 30 --hidden 8 --patience 9 --verbose 0")
  lu.assertEquals({err, code}, {"", 0})
end

function TestChars.testLoadWrites()
  local text, model = with(verse), path()
  local said = run("scripts/chars.lua " .. text .. small .. "--seed 3 --out " .. model)
  local load = "scripts/chars.lua --load " .. model
  local out, err, code = run(load .. " --sample 40 --seed 3")
  lu.assertEquals({err, code}, {"", 0})
  lu.assertEquals(said:sub(1, #out), out)
  lu.assertStrMatches((run(load .. " --sample 3 --prime 'the q' --temperature 0")), "the q...\n")
  check_failure(load .. " --prime X", '--prime: "X" does not occur in the text that ' .. model)
  check_failure(load .. " --steps 10", "--steps has no effect with --load")
  check_failure("scripts/chars.lua " .. text .. " --load " .. model, "FILE has no effect with --load")
  check_failure("scripts/chars.lua --load no/such.model", "cannot read no/such.model")
  local other, vocab = path(), lstm.vocab "ab"
  assert(lstm.model{input = vocab, hidden = 2, output = vocab}:save(other))
  check_failure("scripts/chars.lua --load " .. other, other .. " was not made by this script")
end

-- Without progress lines, which depend on the time.
local function notes(command)
  local _, err = run(command)
  return (err:gsub("training [^\n]*\n", ""))
end

function TestChars.testTellsWhatIsKept()
  local text = with(verse)
  local options = "scripts/chars.lua " .. text .. small .. "--verbose 1 "
  local err = notes(options)
  lu.assertStrContains(err, "nothing will be saved: --out FILE keeps the model, --checkpoint FILE the run\n")
  lu.assertStrContains(err, "kept: the weights of the last step, 20, the best of 2 looks\n")
  lu.assertNil(err:find("guessing"))
  lu.assertNil(notes(options .. "--checkpoint " .. path()):find("nothing will be saved"))
  lu.assertStrContains(notes(options .. "--lr 30 --clip 0"), "no better than guessing")
end

-- Interrupts a run once it has saved something, or is seen to train; returns what it wrote to stderr.
local function interrupted(options, file)
  local said = path()
  local ready = file and "[ -s " .. file .. " ]" or "grep -q training " .. said
  local pipe = assert(io.popen(('%s %s 2>%s & p=$!; n=0\n' ..
    'while ! %s && [ $n -lt 600 ]; do n=$((n + 1)); sleep 0.05; done; kill -INT $p; wait $p; echo $?'):format(
    programs.host, options, said, ready)))
  lu.assertEquals(pipe:read("a"), "130\n")
  pipe:close()
  return lstm.readfile(said)
end

function TestChars.testCtrlCTellsWhatIsSaved()
  local options = "scripts/chars.lua " .. with(verse) .. small .. "--steps 100000000 "
  lu.assertStrContains(interrupted(options .. "--verbose 1"), "; nothing was saved: --out keeps the model")
  local out, saved, svg = path(), path(), path(".svg")
  lu.assertStrContains(interrupted(("%s --checkpoint %s --out %s --loss-plot %s"):format(options, saved, out, svg),
    saved), ("--resume %s --out %s --sample 40 --loss-plot %s --verbose 0\n"):format(saved, out, svg))
  lu.assertStrContains(assert(lstm.readfile(svg)), "</svg>")
  lu.assertTrue(lstm.load(out) ~= nil)
end

function TestChars.testUsage()
  check_failure("scripts/chars.lua a.txt --hiden 32", "unknown option --hiden, did you mean --hidden?", 2)
  check_failure("scripts/chars.lua a.txt --hidden many", '--hidden must be a whole number of at least 1, got "many"', 2)
  check_failure("scripts/chars.lua", "FILE is missing", 2)
  local out, err, code = run("scripts/chars.lua --help")
  lu.assertEquals({err, code}, {"", 0})
  for _, name in ipairs{"steps", "seq", "batch", "embed", "hidden", "layers", "dropout", "lr", "clip", "init", "seed",
    "out", "checkpoint", "resume", "sample", "temperature", "prime", "vocab", "optimizer", "patience"} do
    lu.assertStrContains(out, "  --" .. name .. " ")
  end
end

programs.finish{TestChars = TestChars}
