-- Tests of lstm.wav and lstm.writewav: every format, what surrounds the sound, and that no bytes do harm.

local lu = require "luaunit"
local lstm = require "lstm"

local path = os.tmpname()

-- A new file each time, without waiting for the disk.
local function file(bytes)
  os.remove(path)
  local f = assert(io.open(path, "wb"))
  f:write(bytes)
  f:close()
  return path
end

local function le(value, n)
  local list = {}
  for k = 1, n do
    list[k] = string.char(value % 256)
    value = math.floor(value / 256)
  end
  return table.concat(list)
end

local function chunk(id, bytes) return id .. le(#bytes, 4) .. bytes .. ("\0"):rep(#bytes % 2) end

local function riff(...)
  local body = "WAVE" .. table.concat({...})
  return "RIFF" .. le(#body, 4) .. body
end

local function format(tag, channels, bits, rate)
  local frame = math.floor(channels * bits / 8)
  rate = rate or 8000
  return le(tag, 2) .. le(channels, 2) .. le(rate, 4) .. le(rate * frame % 4294967296, 4) .. le(frame, 2) .. le(bits, 2)
end

local GUID = "\0\0\0\0\16\0\128\0\0\170\0\56\155\113"
local function extensible(tag, channels, bits)
  return format(65534, channels, bits) .. le(22, 2) .. le(bits, 2) .. le(0, 4) .. le(tag, 2) .. GUID
end

local function samples(fmt, data) return assert(lstm.wav(file(riff(chunk("fmt ", fmt), chunk("data", data))))) end
local function flat(a)
  local list = {}
  for i = 1, #a do
    for j = 1, select(2, a:shape()) do list[#list + 1] = a[i][j] end
  end
  return list
end

local TestRead = {}

function TestRead.testPcm()
  lu.assertEquals(flat(samples(format(1, 1, 8), "\0\128\255\64")), {-1, 0, 127 / 128, -0.5})
  lu.assertEquals(flat(samples(format(1, 1, 16), "\0\128\0\0\255\127\0\64")), {-1, 0, 32767 / 32768, 0.5})
  lu.assertEquals(flat(samples(format(1, 1, 24), "\0\0\128\255\255\127\1\0\0\255\255\255")),
    {-1, 8388607 / 8388608, 1 / 8388608, -1 / 8388608})
  lu.assertEquals(flat(samples(format(1, 1, 32), "\0\0\0\128\0\0\0\64\0\0\0\224")), {-1, 0.5, -0.25})
end

function TestRead.testFloat()
  lu.assertEquals(flat(samples(format(3, 1, 32), "\0\0\128\63\0\0\0\192")), {1, -2})
  lu.assertEquals(flat(samples(format(3, 1, 64), "\0\0\0\0\0\0\240\63\0\0\0\0\0\0\208\191")), {1, -0.25})
end

function TestRead.testExtensible()
  lu.assertEquals(flat(samples(extensible(1, 1, 16), "\0\128\0\64")), {-1, 0.5})
  lu.assertEquals(flat(samples(extensible(3, 1, 32), "\0\0\128\63")), {1})
  lu.assertEquals(flat(samples(extensible(1, 1, 24), "\0\0\192")), {-0.5})
end

function TestRead.testChannelsAndRate()
  local sound, rate = lstm.wav(file(riff(chunk("fmt ", format(1, 3, 8, 44100)), chunk("data", "\0\128\64\64\128\0"))))
  lu.assertEquals({sound:shape()}, {2, 3})
  lu.assertEquals(sound:totable(), {{-1, 0, -0.5}, {-0.5, 0, -1}})
  lu.assertEquals(rate, 44100)
end

-- Unknown chunks, odd ones with their padding, what comes after the sound and after the RIFF.
function TestRead.testWhatSurroundsIt()
  local fmt, data = chunk("fmt ", format(1, 1, 8) .. "\0\0"), chunk("data", "\0\128\255")
  for _, bytes in ipairs{riff(chunk("LIST", "abc"), fmt, chunk("bext", ("x"):rep(601)), data, chunk("id3 ", "12345")),
    riff(fmt, chunk("fact", le(3, 4)), data) .. "and more", (riff(fmt, data):gsub("%z$", ""))} do
    if bytes:byte(-1) == 255 then bytes = "RIFF" .. le(#bytes - 8, 4) .. bytes:sub(9) end -- without its padding
    lu.assertEquals(flat(assert(lstm.wav(file(bytes)))), {-1, 0, 127 / 128})
  end
  local silence, rate = lstm.wav(file(riff(fmt, chunk("data", ""))))
  lu.assertEquals({rate, silence:shape()}, {8000, 0, 1})
end

local TestWrite = {}

-- A ramp of 16-bit samples over two channels: exact in every format but 8 bits.
local function ramp(n)
  local a = lstm.zeros{n, 2}
  for i = 1, n do a[i][1], a[i][2] = (i * 37 % 65536 - 32768) / 32768, (i - 1) / n end
  return a
end

function TestWrite.testThereAndBack()
  for _, bits in ipairs{8, 16, 24, 32} do
    for _, n in ipairs{1, 2, 3, 1999} do
      local a = ramp(n)
      lu.assertTrue(lstm.writewav(path, a, 48000, {bits = bits}))
      local b, rate = lstm.wav(path)
      lu.assertEquals({rate, b:shape()}, {48000, n, 2})
      local worst = ((b - a):abs()):max()
      lu.assertTrue(worst <= (bits == 32 and 0 or 1 / 2 ^ (bits - 1)), bits .. ": " .. worst)
      local bytes = assert(lstm.readfile(path))
      lu.assertEquals(#bytes % 2, 0)
      lu.assertEquals(bytes:sub(5, 8), le(#bytes - 8, 4))
      lu.assertTrue(lstm.writewav(path, b, rate, {bits = bits}))   -- what was read is written the same
      lu.assertEquals(lstm.readfile(path), bytes)
    end
  end
end

function TestWrite.testRoundsAndCuts()
  local a = lstm.array{-3, -1, -0.75 / 32768, -0.5 / 32768, 0.49 / 32768, 0.5 / 32768, 1, 1e9, 0 / 0, -math.huge}
  lu.assertTrue(lstm.writewav(path, a, 8000))                      -- one axis: one channel; 16 bits
  local b = lstm.wav(path) * 32768
  lu.assertEquals(flat(b), {-32768, -32768, -1, 0, 0, 1, 32767, 32767, 0, -32768})
  lu.assertTrue(lstm.writewav(path, a:slice(2, 7), 8000, {bits = 8}))
  lu.assertEquals((assert(lstm.readfile(path))):sub(-6), "\0\128\128\128\128\255")
end

function TestWrite.testManyMinutesPassThroughNoTable()
  local a = lstm.zeros{3000000, 1}                                 -- a minute
  a[2999999][1] = 0.5
  local before = collectgarbage "count"
  lu.assertTrue(lstm.writewav(path, a, 48000, {bits = 24}))
  local b = assert(lstm.wav(path))
  lu.assertTrue(collectgarbage "count" - before < 2000)
  lu.assertEquals({b[2999999][1], b[3000000][1], #b}, {0.5, 0, 3000000})
end

function TestWrite.testWorldsFaults()
  local ok, message, status = lstm.writewav("no/such/folder/x.wav", lstm.array{1}, 8000)
  lu.assertEquals({ok, status}, {nil, "io"})
  lu.assertStrContains(message, "no/such/folder/x.wav")
  ok, message, status = lstm.wav "no/such.wav"
  lu.assertEquals({ok, status}, {nil, "io"})
  lu.assertStrContains(message, "no/such.wav")
end

local TestDamaged = {}

local function says(sentence, bytes)
  local value, why, status = lstm.wav(file(bytes))
  lu.assertNil(value)
  lu.assertEquals({why, status}, {path .. ": " .. sentence, "format"})
end

function TestDamaged.testSentences()
  local fmt, data = chunk("fmt ", format(1, 1, 16)), chunk("data", "\0\1")
  says("this is no WAV file", "")
  says("this is no WAV file", "FORM\0\0\0\0AIFFCOMM")
  says("RIFX is not read, only RIFF", "RIFX\0\0\0\4WAVE")
  says("RF64 is not read, only RIFF", "RF64\255\255\255\255WAVEds64")
  says("the file has 12 bytes, its header says 108", "RIFF" .. le(100, 4) .. "WAVE")
  says("the file has 46 bytes, its header says 4294967303", (riff(fmt, data):gsub("^RIFF....", "RIFF\255\255\255\255")))
  says("there is no sound in it", riff(fmt))
  says("there is no format before the sound", riff(data, fmt))
  says("the format is cut short", riff(chunk("fmt ", "\1\0"), data))
  says('the chunk "data" has 4294967295 bytes, but there are only 2', riff(fmt, "data\255\255\255\255\0\1"))
  says('the chunk "LI?T" has 9 bytes, but there are only 8', riff("LI\1T\9\0\0\0", ("x"):rep(8)))
  says("there are no channels", riff(chunk("fmt ", format(1, 0, 16)), data))
  says("the rate is 0 samples per second, 1 to 10000000 are read", riff(chunk("fmt ", format(1, 1, 16, 0)), data))
  says("the rate is 4294967295 samples per second, 1 to 10000000 are read",
    riff(chunk("fmt ", format(1, 1, 16, 4294967295)), data))
  local there = " is not read (there are PCM of 8, 16, 24 and 32 bits and float of 32 and 64)"
  says("mu-law of 8 bits" .. there, riff(chunk("fmt ", format(7, 1, 8)), data))
  says("format 9999 of 16 bits" .. there, riff(chunk("fmt ", format(9999, 1, 16)), data))
  says("PCM of 12 bits" .. there, riff(chunk("fmt ", format(1, 1, 12)), data))
  says("float of 16 bits" .. there, riff(chunk("fmt ", format(3, 1, 16)), data))
  says("MP3 of 16 bits" .. there, riff(chunk("fmt ", extensible(85, 1, 16)), data))
  says("the extensible format is unknown", riff(chunk("fmt ", format(65534, 1, 16)), data))
  says("the extensible format is unknown", riff(chunk("fmt ", extensible(1, 1, 16):gsub("\155", "\154")), data))
  says("2 channels of 16 bits are not 2 bytes",
    riff(chunk("fmt ", format(1, 1, 16):gsub("^(..)\1", "%1\2")), data))
  says("3 bytes of sound are no whole frames of 2", riff(fmt, chunk("data", "abc")))
end

-- Cut at every byte, and with any byte changed: sound or a sentence, and nothing else.
function TestDamaged.testAnyBytes()
  local whole = riff(chunk("LIST", "abc"), chunk("fmt ", extensible(1, 2, 16)), chunk("data", ("\1\2\3\4"):rep(20)))
  local rng = lstm.rng(3)
  for n = 0, #whole - 1 do
    local value, why, status = lstm.wav(file(whole:sub(1, n)))
    lu.assertNil(value)
    lu.assertTrue(type(why) == "string" and status == "format")
  end
  for _ = 1, 1500 do
    local at = rng:index(#whole)
    local value, why, status = lstm.wav(file(whole:sub(1, at - 1) .. string.char(rng:index(256) - 1) ..
      whole:sub(at + 1)))
    lu.assertTrue(value ~= nil and type(why) == "number" or type(why) == "string" and status == "format")
    if value then lu.assertTrue(#value <= #whole) end
  end
end

local TestWrongUses = {}

function TestWrongUses.testSentences()
  local a = lstm.array{0.5}
  local function sees(sentence, ...)
    local ok, message = pcall(...)
    lu.assertFalse(ok)
    lu.assertEquals(tostring(message):gsub("^.-:%d+: ", ""), sentence)
  end
  sees("wav: the path must be a string, got 7", lstm.wav, 7)
  sees("writewav: the path must be a string, got nil", lstm.writewav)
  local wanted = "writewav: an array of float32 [frames] or [frames][channels] is needed, got "
  sees(wanted .. "a table", lstm.writewav, path, {1, 2}, 8000)
  sees("writewav: the rate must be a whole number from 1 to 10000000, got nil", lstm.writewav, path, a)
  sees("writewav: the rate must be a whole number from 1 to 10000000, got 0", lstm.writewav, path, a, 0)
  sees("writewav: bits must be 8, 16, 24 or 32, got 12", lstm.writewav, path, a, 8000, {bits = 12})
  sees('writewav: unknown option "bit", did you mean "bits"? (there is bits)', lstm.writewav, path, a, 8000, {bit = 8})
  sees("writewav: [2][40000] is not what a WAV file can hold", lstm.writewav, path, lstm.zeros{2, 40000}, 8000)
  lu.assertErrorMsgContains(wanted, lstm.writewav, path, lstm.zeros({3}, "int32"), 8000)
  lu.assertErrorMsgContains(wanted, lstm.writewav, path, lstm.zeros{1, 1, 1}, 8000)
end

local code = lu.LuaUnit.new():runSuiteByInstances{
  {"TestRead", TestRead}, {"TestWrite", TestWrite}, {"TestDamaged", TestDamaged}, {"TestWrongUses", TestWrongUses},
}
os.remove(path)
os.exit(code, true)
