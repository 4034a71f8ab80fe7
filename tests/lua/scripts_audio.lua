-- scripts/audio.lua as a user runs it: what it learns of a device, what it plays, the sentence for what goes wrong.
local lu = require "luaunit"
local lstm = require "lstm"
local programs = dofile "tests/lua/support/programs.lua"

local run, path, with, check_failure = programs.run, programs.path, programs.with, programs.check_failure
local script = "scripts/audio.lua "
local quick = " --window 60 --warm 20 --hidden 6 --batch 8 --verbose 0 "

-- Notes that come and go, and what a soft clipper behind a one-pole filter makes of them.
local function recordings(count)
  local dry, wet, low = lstm.zeros{count}, lstm.zeros{count}, 0
  for i = 1, count do
    local note = math.floor(i / 400)
    dry[i] = math.sin(i * (0.05 + 0.013 * (note * 7 % 11))) * (0.2 + 0.1 * (note * 3 % 8)) * (1 - i % 400 / 500)
    low = low + 0.5 * (dry[i] - low)
    wet[i] = 2 * low / (1 + math.abs(3 * low))
  end
  return dry, wet
end

local function saved(sound, rate, bits)
  local name = path(".wav")
  assert(lstm.writewav(name, sound, rate or 8000, {bits = bits or 32}))
  return name
end

local all_dry, all_wet = recordings(6000)
local dry, wet = saved(all_dry), saved(all_wet)
local model = path(".safetensors")
local learned                                        -- what the run that made it said

local TestAudio = {}

function TestAudio.testLearnsTheDevice()
  local out, err, code = run(script .. dry .. " " .. wet .. quick .. "--epochs 40 --lr 0.01 --out " .. model)
  lu.assertEquals({err, code}, {"", 0})
  local ratio, decibels, before = out:match("^test ESR (%S+) %((%S+) dB%) dry (%S+)\n$")
  lu.assertTrue(tonumber(ratio) < 0.1 * tonumber(before), out)
  lu.assertAlmostEquals(10 * math.log(tonumber(ratio)) / math.log(10), tonumber(decibels), 0.06)
  learned = out
  local m = assert(lstm.load(model))
  lu.assertStrContains(tostring(m), "dense size=1 residual")
  lu.assertEquals({m.loss, m.meta.rate}, {"esr", 8000})
  local again, _, failed = run(script .. dry .. " " .. wet .. " --verbose 0 --load " .. model)
  lu.assertEquals(failed, 0)
  lu.assertTrue(tonumber(again:match("^test ESR (%S+)")) < 0.1, again)
end

function TestAudio.testSaysWhatIsTested()
  local drawn = path(".svg")
  local _, err, code = run(script .. dry .. " " .. wet .. quick:gsub("%-%-verbose 0 ", "") ..
    "--epochs 1 --plot " .. drawn)
  lu.assertEquals(code, 0)
  -- 6000 samples at 8000 per second; a tenth of them is tested, and all before it is less than a second
  lu.assertStrContains(err, "0.8 s of sound (0.1 s of test, and what is before it) in ")
  lu.assertStrContains(assert(lstm.readfile(drawn)), "<svg")
  local help = run("audio --help"):gsub("%s+", " ")
  lu.assertStrContains(help, "after `dry` of the sound as it is. Playing begins at rest")
end

-- Every channel is a sound of its own, played from rest.
function TestAudio.testPlays()
  lu.assertNotNil(learned)
  local stereo = lstm.zeros{3000, 2}
  for i = 1, 3000 do stereo[i][1], stereo[i][2] = all_dry[i], -all_dry[i] end
  local mono, both, played, out = saved(all_dry:slice(1, 3000)), saved(stereo), path(".wav"), path(".wav")
  local said, err, code = run(script .. mono .. " --bits 32 --load " .. model .. " --out " .. played)
  lu.assertEquals({said, code}, {"", 0})
  lu.assertStrContains(err, "times real time\nsound: " .. played)
  run(script .. both .. " --verbose 0 --bits 32 --load " .. model .. " --out " .. out)
  local one, two = assert(lstm.wav(played)), assert(lstm.wav(out))
  lu.assertEquals({two:shape()}, {3000, 2})
  for i = 1, 3000, 250 do lu.assertEquals(two[i][1], one[i][1]) end
  lu.assertTrue(lstm.metrics.esr(all_wet:slice(1, 3000), one:column(1)) < 0.1)
  lu.assertTrue(math.abs(one[1][1] - one[2][1]) < 0.05)
  run(script .. mono .. " --verbose 0 --load " .. model .. " --out " .. out)                    -- 24 bits
  local cut = assert(lstm.wav(out))
  lu.assertTrue((cut - one):abs():max() <= 0.5 / 2 ^ 23)
  local _, loud = run(script .. saved(all_dry * 40) .. " --load " .. model .. " --out " .. out)
  if assert(lstm.wav(out)):max() > 0.999 then lu.assertStrContains(loud, "--bits 32 keeps it\n") end
end

function TestAudio.testResumeIsTheSameRun()
  local checkpoint = path(".safetensors")
  local begin = script .. dry .. " " .. wet .. quick .. "--plain --cell gru --seed 3 "
  local expected = run(begin .. "--epochs 2")
  run(begin .. "--epochs 1 --checkpoint " .. checkpoint)
  local resume = script .. dry .. " " .. wet .. " --verbose 0 --resume " .. checkpoint
  lu.assertEquals((run(resume .. " --epochs 2")), expected)
  check_failure(resume .. " --epochs 2", "is already at epoch 2; --epochs counts from the beginning, so 2 leaves")
  check_failure(resume .. " --epochs 3 --hidden 9", "--hidden 9 conflicts with --hidden 6, which " .. checkpoint)
  lu.assertNil(tostring(assert(lstm.load(checkpoint))):find("residual"))
end

-- Of several channels the first one counts, and the shorter recording.
function TestAudio.testSaysWhatItLeavesOut()
  local stereo = lstm.zeros{6100, 2}
  for i = 1, 6000 do stereo[i][1] = all_dry[i] end
  local _, err = run(script .. saved(stereo) .. " " .. wet .. quick:gsub("verbose 0", "verbose 1") .. "--epochs 1")
  lu.assertStrContains(err, "has 6100 samples, " .. wet .. " has 6000: the first 6000 count\n")
  lu.assertStrContains(err, "has 2 channels: the first one counts\n")
end

local TestWrongUses = {}

function TestWrongUses.testUsage()
  check_failure(script, "DRY is missing, a WAV file", 2)
  check_failure(script .. dry, "WET is missing, a WAV file; or --load MODEL, to play DRY through it", 2)
  check_failure(script .. dry .. " --load " .. model, "--load needs --out FILE.wav, to play DRY, or WET", 2)
  check_failure(script .. dry .. " " .. wet .. " --bits 16", "--bits needs --load MODEL", 2)
  check_failure(script .. dry .. " --load " .. model .. " --out " .. dry, "would be written over", 2)
  check_failure(script .. dry .. " --load " .. model .. " --lr 1 --out x.wav", "--lr has no effect with --load")
  programs.check_help(script, {"hidden", "window", "warm", "plain", "pre-emphasis", "out", "load", "epochs", "bits"})
end

function TestWrongUses.testFiles()
  local text, other = with("no sound"), path(".safetensors")
  check_failure(script .. "no.wav " .. wet, "cannot read no.wav")
  check_failure(script .. text .. " " .. wet, text .. ": this is no WAV file")
  check_failure(script .. saved(all_dry, 44100) .. " " .. wet, "8000: they must be the same")
  check_failure(script .. saved(all_dry, 44100) .. " --load " .. model .. " --out " .. path(".wav"),
    "has 44100 samples per second, the model was learned at 8000: it would be another device")
  check_failure(script .. saved(all_dry:slice(1, 99)) .. " " .. wet .. quick,
    "9 samples are left to learn from or to choose by, too few: --warm 20 and --window 60 need 80")
  check_failure(script .. dry .. " " .. saved(all_wet * 0) .. quick, "is silent where the model is to learn")
  check_failure(script .. saved(all_dry + 0 / 0) .. " " .. wet .. quick, "has samples that are no numbers")
  check_failure(script .. saved(lstm.zeros{0, 1}) .. " " .. wet .. quick, "is empty")
  assert(lstm.model{input = 1, hidden = 2, output = 1}:save(other))
  check_failure(script .. dry .. " --load " .. other .. " --out x.wav",
    other .. " was not made by lstm audio: use it in Lua, with lstm.load and model:state")
  check_failure("scripts/forecast.lua " .. with("a\n1\n") .. " --load " .. model,
    model .. " is a model of lstm audio, not of lstm forecast")
end

programs.finish{TestAudio = TestAudio, TestWrongUses = TestWrongUses}
