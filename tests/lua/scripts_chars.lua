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

-- Characters where the text has them, unless something else is asked for; no line on stderr sticks to the sample.
function TestChars.testReadsUtf8()
  local text, model = with(("Grün ist die Öde, süß der Löwenzahn.\n"):rep(40)), path()
  local options = " --steps 2 --batch 2 --seq 8 --hidden 4 --embed 4 --sample 30 --temperature 0 --seed 2 "
  local chars = "scripts/chars.lua " .. text .. options
  local out, err, code = run(chars .. "--out " .. model)
  lu.assertEquals(code, 0)
  lu.assertStrContains(err, text .. " has characters beyond ASCII: read as UTF-8 (--vocab bytes takes bytes)\n")
  lu.assertNil(require "lstm.utf".broken_at(out))
  lu.assertEquals(assert(lstm.load(model)).vocab.kind, "utf8")
  for _, others in ipairs{"--vocab bytes ", "--words "} do
    lu.assertNil(select(2, run(chars .. others)):find("read as UTF-8", 1, true))
  end
  local latin = with(("Gr\252n ist die \214de, und der L\246wenzahn bl\252ht.\n"):rep(40))
  out, err = run("scripts/chars.lua " .. latin .. options)
  lu.assertStrContains(out, "nats/char\n")
  lu.assertNil(err:find("UTF-8", 1, true))
  local many = {}
  for i = 1, 450 do many[i] = utf8.char(0x4E00 + i):rep(3) end
  many = with(table.concat(many))
  lu.assertStrContains(select(2, run("scripts/chars.lua " .. many .. options)),
    many .. " has 450 different characters, so bytes are learned (--vocab utf8 takes characters)\n")
end

function TestChars.testReadsAPipe()
  local text = with(verse)
  local pipe = io.popen(("cat %s | %s scripts/chars.lua /dev/stdin%s2>&1"):format(text, programs.host, small))
  local out = pipe:read("a")
  pipe:close()
  lu.assertStrContains(out, "nats/char\n")
end

function TestChars.testMessagesBeginTheirLine()
  local text, page, both = with(verse), path(".html"), path()
  io.popen(("%s scripts/chars.lua %s --steps 2 --batch 2 --seq 8 --hidden 4 --sample 20 --report %s >%s 2>&1"):format(
    programs.host, text, page, both)):close()
  lu.assertStrContains(assert(lstm.readfile(both)), "\nreport: " .. page .. "\n")
  lu.assertStrContains(assert(lstm.readfile(page)), "<title>" .. text:match("[^/]+$"))
  lu.assertStrContains(assert(lstm.readfile(page)), "<h1>" .. text:match("[^/]+$") .. "</h1>")
end

function TestChars.testRefusesModelsAndBinaries()
  local model, noise = path(), with(("\1\0\127\200x"):rep(500))
  assert(lstm.model{input = 1, hidden = 2, output = 1, meta = {forecast = "x"}}:save(model))
  check_failure("scripts/chars.lua " .. model, model .. " is a model, not a text; programs take it with --load\n")
  check_failure("scripts/chars.lua " .. noise, noise .. " is binary data, not a text\n")
  check_failure("scripts/chars.lua --load " .. model, model .. " is a model of lstm forecast, not of lstm chars\n")
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
  check_failure("scripts/chars.lua --load " .. other,
    other .. " was not made by lstm chars: use it in Lua, with lstm.load and model:generate")
  local function half() return lstm.model{input = vocab, hidden = 2, output = vocab} end
  local pair = path()
  assert(lstm.seq2seq{encoder = half(), decoder = half(), start = "a", stop = "a"}:save(pair))
  for _, suffix in ipairs{".encoder", ".decoder"} do programs.remove_later(pair .. suffix) end
  for _, script in ipairs{"chars", "sentiment", "tag", "stack"} do
    check_failure(("scripts/%s.lua --load %s"):format(script, pair),
      ("%s was not made by lstm %s: use it in Lua, with lstm.load\n"):format(pair, script))
  end
  check_failure("scripts/cell.lua --load " .. pair, pair .. ": the first layer is no plain LSTM")
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

function TestChars.testTutorial()
  local svg, out = path(".svg"), path()
  local said, err = run("scripts/chars.lua --tutorial --verbose 0 --loss-plot " .. svg .. " --out " .. out)
  lu.assertEquals(err, "")
  lu.assertEquals(select(2, said:gsub("epoch %d+: loss %d%.%d+ accuracy [01]%.%d+\n", "")), 50)
  lu.assertStrContains(said, "accuracy 1.0000\nafter \"the quick brown fox\" comes \" \" (99.")
  lu.assertStrContains(assert(lstm.readfile(svg)), "</svg>")
  local model = assert(lstm.load(out))
  lu.assertEquals(model:parameters(), 27 * 128 + 4 * 128 * (128 + 128 + 1) + 128 * 27 + 27)
  said = run("scripts/chars.lua " .. with(("abcdefghijkl"):rep(4)) .. " --tutorial --embed 0 --hidden 16 --epochs 9" ..
    " --lr 0.01 --verbose 0 --prime abcdefghijk")
  lu.assertStrContains(said, 'after "abcdefghijk" comes "l" (')
end

function TestChars.testOneHot()
  local out = path()
  local _, err = run("scripts/chars.lua " .. with(verse) .. small .. "--embed 0 --verbose 1 --out " .. out)
  local count = 4 * 8 * (29 + 8 + 1) + 8 * 29 + 29
  lu.assertStrContains(err, "29 different; " .. count .. " parameters")
  local rows = assert(lstm.load(out)):tensor "embed.weight"             -- still the identity after training
  lu.assertEquals({rows:sum(), rows[1][1], rows[29][29], (rows * rows):sum()}, {29, 1, 1, 29})
end

function TestChars.testWords()
  local text, out = with(verse), path()
  local said, err = run("scripts/chars.lua " .. text .. small .. "--words --lr 0.05 --steps 60 --out " .. out)
  lu.assertEquals(err, "")
  lu.assertStrMatches(said, ".*\nvalidation %d%.%d+ nats/word\n")
  lu.assertEquals(assert(lstm.load(out)).vocab.kind, "words")
  local load = "scripts/chars.lua --load " .. out
  lu.assertStrContains((run(load .. " --sample 3 --temperature 0 --prime 'the quick'")), "the quick brown fox jumps")
  lu.assertStrContains(select(2, run(load .. " --prime 'the xyz'")), '--prime: "xyz" does not occur in the text that')
end

function TestChars.testSamplingOptions()
  local text, out = with(verse), path()
  run("scripts/chars.lua " .. text .. " --hidden 32 --embed 8 --seq 16 --batch 4 --steps 300 --lr 0.02 --verbose 0" ..
    " --sample 0 --out " .. out)
  local load = "scripts/chars.lua --prime 'the quick ' --load " .. out
  local likeliest = run(load .. " --temperature 0 --sample 20")
  lu.assertEquals(run(load .. " --temperature 9 --top-k 1 --length 20"), likeliest)
  lu.assertEquals(run(load .. " --top-p 0.0001 -length 20"), likeliest)
  lu.assertEquals(run(load .. " -sample 0 -length 20"), likeliest)            -- as char-rnn means it
  lu.assertEquals(likeliest:sub(1, 19), "the quick brown fox")
  lu.assertEquals(run(load .. " --temperature 0 --sample 50 --stop xyz --stop ' fox'"), "the quick brown\n")
end

function TestChars.testEpochsDecayAndReport()
  local text, half, html = with(verse), path(), path(".html")
  local options = "scripts/chars.lua " .. text .. " --hidden 8 --embed 4 --seq 8 --batch 4 --validate-every 40" ..
    " --verbose 0 --sample 20 --lr-decay 0.5 --cell gru --optimizer rmsprop --alpha 0.95 "
  local expected = run(options .. "--epochs 2 --report " .. html)
  local page = assert(lstm.readfile(html))
  for _, part in ipairs{"<svg", "</html>", "gru hidden=8"} do lu.assertTrue(page:find(part, 1, true) ~= nil, part) end
  run(options .. "--epochs 1 --checkpoint " .. half)
  local resume = "scripts/chars.lua " .. text .. " --verbose 0 --sample 20 --resume " .. half
  local got, err = run(resume .. " --epochs 2")
  lu.assertEquals(err, "")
  lu.assertEquals(got, expected)
  check_failure(resume, "--epochs counts from the beginning, so 2 leaves nothing to do")
end

function TestChars.testOptionsOfCharRnn()
  local folder = path()
  os.execute("mkdir " .. folder)
  assert(lstm.writefile(programs.remove_later(folder .. "/input.txt"), verse))
  local said, err, code = run(("scripts/chars.lua -data_dir %s -rnn_size 8 -num_layers 2 -model lstm -dropout 0.1 " ..
    "-learning_rate 0.01 -learning_rate_decay 0.97 -seq_length 8 -batch_size 4 -max_epochs 1 -grad_clip 5 " ..
    "-train_frac 0.8 -seed 123 -print_every 1 -eval_val_every 20 -checkpoint_dir %s -savefile fox -gpuid -1 " ..
    "-temperature 0.7 -primetext the -length 9 --verbose 0 --embed 4"):format(folder, folder))
  programs.remove_later(folder .. "/fox.safetensors")
  programs.remove_later(folder)
  lu.assertEquals({err, code}, {"-print_every has no effect: the progress line follows the clock\n" ..
    "-gpuid has no effect: there is one build for all machines\n", 0})
  lu.assertStrMatches(said, "the.*\nvalidation %d%.%d+ nats/char\n")
  local kept = assert(lstm.load(folder .. "/fox.safetensors")).meta.chars
  for _, one in ipairs{"epochs=1", "hidden=8", "layers=2", "val=0.2", "seed=123", "lr_decay=0.9"} do
    lu.assertStrContains(kept, one)
  end
end

function TestChars.testUnknownCharacters()
  local out = path()
  local said, err = run("scripts/chars.lua " .. with(verse .. "\255") .. small ..
    "--vocab utf8 --unknown skip --least 3 --out " .. out)
  lu.assertEquals(err, "")
  lu.assertStrContains(said, "validation ")
  lu.assertEquals(#assert(lstm.load(out)).vocab, 29)
end

local TestWrongUses = {}

function TestWrongUses.testSentences()
  local text = with(verse)
  local chars = "scripts/chars.lua "
  check_failure(chars .. text .. " --epoch 3", "chars.lua: unknown option --epoch, did you mean --epochs?\n", 2)
  check_failure(chars .. text .. " x", 'chars.lua: "x" is one argument too many\n', 2)
  check_failure(chars .. text .. " --steps 9 --epochs 1", "are two ways to say how long: give one of them\n", 2)
  check_failure(chars .. text .. " --words --vocab utf8", "--words is --vocab words: give one of them\n", 2)
  check_failure(chars .. text .. " --least 3", "--least leaves characters out: --unknown says what becomes of them", 2)
  check_failure(chars .. text .. " -decay_rate 0.9", "--alpha (-decay_rate) belongs to --optimizer rmsprop", 2)
  check_failure(chars .. text .. " -model rnn", '--cell must be one of "lstm" and "gru", got "rnn"\n', 2)
  check_failure(chars .. text .. " --top-p 2", '--top-p must be a number above 0 and at most 1, got "2"\n', 2)
  check_failure(chars .. text .. " --lr", "chars.lua: --lr needs a value\n", 2)
  check_failure(chars .. "--tutorial --layers 2", "--layers has no effect with --tutorial\n", 2)
  check_failure(chars .. with("short") .. " --tutorial", "has 5 characters, too few: more than 10 are needed\n")
  check_failure(chars .. "--tutorial --prime X", '--prime: "X" does not occur in the text\n')
  check_failure(chars .. text .. " --report tests", "--report tests is a folder: give the name of a file\n")
  check_failure(chars .. "--load " .. text, text .. ": this is not a safetensors file")
  local many = {}
  for i = 1, 1100 do many[i] = ("w%d w%d"):format(i, i) end
  check_failure(chars .. with(table.concat(many, "\n")) .. " --words --embed 0 --seq 8 --batch 4 --verbose 0",
    "--embed 0 gives each of the 1102 symbols an input of its own, too many: at most 1024 make sense\n")
end

programs.finish{TestChars = TestChars, TestWrongUses = TestWrongUses}
