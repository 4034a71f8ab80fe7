-- Files of others: .ts, .npy, .safetensors, raw numbers; and that no bytes do harm.
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

-- What a reader says to bytes that are not right.
local function says(sentence, read, bytes, ...)
  local value, why, status = read(file(bytes), ...)
  lu.assertNil(value)
  lu.assertEquals({why, status}, {path .. sentence, "format"})
end

local TestTs = {}

local HEAD = "# a comment\n@problemName X\n@timeStamps false\n@classLabel true up down flat\n@data\n"

function TestTs.testLabels()
  local set = assert(lstm.ts(file(HEAD .. "1,2,3:4,5,6:down\r\n\n7,8:9,-1e1: up \n")))
  lu.assertEquals({#set, set.y, set.labels}, {2, {"down", "up"}, {"up", "down", "flat"}})
  lu.assertEquals(set.x[1]:totable(), {{1, 4}, {2, 5}, {3, 6}})
  lu.assertEquals(set.x[2]:totable(), {{7, 9}, {8, -10}})
end

function TestTs.testTargetsAndNone()
  local set = assert(lstm.ts(file "@targetLabel true\n@data\n1,2:0.5\n3:-1\n"))
  lu.assertEquals({set.y, set.labels}, {{0.5, -1}, nil})
  set = assert(lstm.ts(file "@classLabel false\n@data\n1,2\n3\n"))
  lu.assertEquals({#set, set.y}, {2, nil})
end

function TestTs.testRefused()
  says(":1: this is no .ts file: there is no line @data before the cases", lstm.ts, "1,2:3\n")
  says(":2: time stamps are not supported", lstm.ts, "@timeStamps true\n@data\n(0,1),(1,2):a\n")
  says(':6: "?" is not a number', lstm.ts, HEAD .. "1,?,3:up\n")
  says(":6: channel 2 has 2 steps, the first one 3", lstm.ts, HEAD .. "1,2,3:4,5:up\n")
  says(":7: 2 channels, the first case has 1", lstm.ts, HEAD .. "1,2:up\n1,2:3,4:up\n")
  says(":6: the label is missing", lstm.ts, HEAD .. "1,2\n")
  lu.assertEquals(assert(lstm.ts(file "@classLabel\n@data\n1,2\n")).y, nil)
  -- Steps times channels: 4 TB, if they were believed.
  says(":2: channel 2 has 1 steps, the first one 1000001", lstm.ts,
    "@data\n" .. ("1,"):rep(1000000) .. "1" .. (":1"):rep(1000000) .. "\n")
  says(': target 1: unknown label "uup", did you mean "up"? (there are up, down and flat)', lstm.ts,
    HEAD .. "1,2:uup\n")
  says(": there are no cases", lstm.ts, HEAD)
end

local TestNpy = {}

-- A file as NumPy writes it.
local function npy(kind, shape, bytes, order)
  local header = ("{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }"):format(kind, order or "False", shape)
  header = header .. (" "):rep(117 - #header) .. "\n"
  return "\147NUMPY\1\0" .. string.char(#header, 0) .. header .. bytes
end

function TestNpy.testKinds()
  local function read(...) return assert(lstm.npy(file(npy(...)))) end
  lu.assertEquals(read("<f4", "2, 1", "\0\0\128\63\0\0\0\192"):totable(), {{1}, {-2}})
  lu.assertEquals(read("<f8", "2,", "\0\0\0\0\0\0\240\63\154\153\153\153\153\153\185\191")[2], lstm.array{-0.1}[1])
  lu.assertEquals(read("<i8", "", ("\255"):rep(8)):totable(), {-1})
  lu.assertEquals(read("<i4", "1,", "\1\2\0\0"):totable(), {513})
  local bytes = read("|u1", "3,", "\0\7\255")
  lu.assertEquals({bytes:kind(), bytes:totable()}, {"uint8", {0, 7, 255}})
end

function TestNpy.testThereAndBack()
  for _, kind in ipairs{"float32", "int32", "uint8"} do
    for _, a in ipairs{lstm.array({{1, 2, 3}, {4, 5, 6}}, kind), lstm.zeros({1, 2, 3, 4}, kind), lstm.array(7, kind)} do
      assert(lstm.writenpy(path, a))
      lu.assertTrue(assert(lstm.npy(path)) == a)
    end
  end
  local header = assert(lstm.readfile(path)):match("^\147NUMPY\1%z..([^\n]*\n)")
  lu.assertEquals((10 + #header) % 64, 0)
end

function TestNpy.testRefused()
  says(": this is no .npy file", lstm.npy, "hello, this is text")
  says(": this is no .npy file", lstm.npy, "")
  says(": the file ends inside its header", lstm.npy, npy("<f4", "2,", ""):sub(1, 60))
  says(": the file ends before its 3 numbers", lstm.npy, npy("<f4", "3,", ("\0"):rep(11)))
  says(": the file ends before its 99999999 x 99999999 numbers", lstm.npy, npy("<f4", "99999999, 99999999", ""))
  says(": the file ends before its 0 x 9999999999 numbers", lstm.npy, npy("<f4", "0, 9999999999", ""))
  says(": number 2 does not fit an int32", lstm.npy, npy("<i8", "2,", ("\0"):rep(15) .. "\1"))
  says(": numbers of the type '>f4' are not read (there are <f4, <f8, <i4, <i8 and |u1)", lstm.npy,
    npy(">f4", "1,", "1234"))
  says(": numbers of the type '<c8' are not read (there are <f4, <f8, <i4, <i8 and |u1)", lstm.npy,
    npy("<c8", "1,", "12345678"))
  says(": Fortran order is not read: save numpy.ascontiguousarray(a)", lstm.npy, npy("<f4", "1, 1", "1234", "True"))
  says(": 5 axes, an array has at most 4", lstm.npy, npy("|u1", "1, 1, 1, 1, 1", "1"))
  says(": the header is broken, or of a structured array", lstm.npy, npy("<f4", "x", "1234"))
end

local TestSafetensors = {}

local function size8(n)
  local bytes = {}
  for k = 1, 8 do bytes[k], n = string.char(n % 256), math.floor(n / 256) end
  return table.concat(bytes)
end

local function tensors(header, data) return size8(#header) .. header .. (data or "") end

function TestSafetensors.testTypes()
  local t, meta = lstm.safetensors(file(tensors([[
    {"__metadata__": {"a\n\"b": "\u00e9\ud83d\ude00/\/"}, "x" : {"dtype":"F32","shape":[1, 2],"data_offsets":[0,8]},
     "h":{"dtype":"F16","shape":[3],"data_offsets":[8,14]}, "b":{"dtype":"BF16","shape":[1],"data_offsets":[14,16]},
     "i":{"dtype":"I64","shape":[1],"data_offsets":[16,24]}, "s":{"dtype":"I32","shape":[],"data_offsets":[24,28]},
     "none":{"dtype":"U8","shape":[0,3],"data_offsets":[28,28]}}]],
    "\0\0\128\63\0\0\0\192" .. "\0\60\1\0\0\252" .. "\128\191" .. "\254" .. ("\255"):rep(7) .. "\1\1\0\0")))
  lu.assertEquals(meta, {['a\n"b'] = "é😀//"})
  lu.assertEquals(t.x:totable(), {{1, -2}})
  lu.assertEquals(t.h:totable(), {1, 2 ^ -24, -math.huge})
  lu.assertEquals({t.b[1], t.i[1], t.s[1], t.none:kind(), #t.none}, {-1, -2, 257, "uint8", 0})
end

function TestSafetensors.testModels()
  local m = lstm.model{input = 2, hidden = 3, output = 1, seed = 1}
  assert(m:save(path))
  local t, meta = assert(lstm.safetensors(path))
  lu.assertEquals({t["rnn.weight_ih_l0"]:shape()}, {12, 2})
  lu.assertStrContains(meta["lstm.layer.0"], "lstm")
end

function TestSafetensors.testRefused()
  local read = lstm.safetensors
  local function entry(dtype, shape, from, to)
    return tensors(('{"w":{"dtype":"%s","shape":[%s],"data_offsets":[%s,%s]}}'):format(dtype, shape, from, to),
      "12345678")
  end
  says(": this is no .safetensors file", read, "short")
  says(": this is no .safetensors file", read, size8(2 ^ 60) .. "{}")
  says(": the header is broken", read, tensors "{")
  says(": the header is broken", read, tensors '{"a":{},"a":{}}')
  says(": the header is broken", read, tensors('{"a":' .. ("["):rep(5000)))
  says(": tensor w: the type F8_E4M3 is not read (there are BF16, F16, F32, F64, I32, I64 and U8)", read,
    entry("F8_E4M3", "8", 0, 8))
  says(": tensor w: its data are not in the file", read, entry("F32", "4", 0, 16))
  says(": tensor w: its data are not in the file", read, entry("F32", "1", 8, 4))
  says(": tensor w: its shape and its data differ in size", read, entry("F32", "3", 0, 8))
  says(": tensor w: its shape and its data differ in size", read, entry("F32", "99999999,99999999", 0, 8))
  says(": tensor w: 5 axes, an array has at most 4", read, entry("U8", "1,1,1,1,8", 0, 8))
  says(": tensor w: its entry is broken", read, tensors '{"w":{"dtype":"F32"}}')
  says(": tensors overlap", read, tensors('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
    .. '"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "12345678"))
  says(": tensor w: number 1 does not fit an int32", read, entry("I64", "1", 0, 8))
end

local TestRaw = {}

function TestRaw.testShapes()
  file(lstm.array{{1, 2, 3}, {4, 5, 6}}:bytes())
  lu.assertEquals(lstm.raw(path):totable(), {1, 2, 3, 4, 5, 6})
  lu.assertEquals(lstm.raw(path, {shape = {-1, 3}}):totable(), {{1, 2, 3}, {4, 5, 6}})
  lu.assertEquals(lstm.raw(path, {shape = {2, 2}, offset = 8}):totable(), {{3, 4}, {5, 6}})
  lu.assertEquals({lstm.raw(path, {kind = "uint8"}):shape()}, {24})
  lu.assertEquals(lstm.raw(file(("\0"):rep(8)), {kind = "float64"}):totable(), {0})
end

function TestRaw.testRefused()
  says(": 7 bytes are not float32 numbers", lstm.raw, "1234567")
  says(": the offset is 12, but there are only 8 bytes", lstm.raw, "12345678", {offset = 12})
  says(": 8 bytes are not float32 [-1][3]", lstm.raw, "12345678", {shape = {-1, 3}})
  says(": 3 bytes after the offset are not int32 numbers", lstm.raw, "12345678", {offset = 5, kind = "int32"})
  says(": 8 bytes are not float32 [100000][100000]", lstm.raw, "12345678", {shape = {100000, 100000}})
end

local TestAnyBytes = {}

-- Every damage gives an array of sane size or a sentence, and nothing else.
local function survives(read, bytes, times)
  local rng = lstm.rng(7)
  for n = 0, #bytes - 1, math.max(1, math.floor(#bytes / 150)) do
    local value, why = read(file(bytes:sub(1, n)))
    lu.assertTrue(value ~= nil or type(why) == "string")
  end
  for _ = 1, times do
    local at = rng:index(#bytes)
    local value, why, status = read(file(bytes:sub(1, at - 1) .. string.char(rng:index(256) - 1) .. bytes:sub(at + 1)))
    lu.assertTrue(value ~= nil or type(why) == "string" and status == "format")
  end
end

function TestAnyBytes.testNpy() survives(lstm.npy, npy("<f8", "2, 2", ("\0"):rep(32)), 600) end

function TestAnyBytes.testTs() survives(lstm.ts, HEAD .. "1,2,3:4,5,6:down\n7,8:9,-1e1:up\n", 600) end

function TestAnyBytes.testSafetensors()
  local m = lstm.model{input = 1, hidden = 1, output = 1, seed = 1}
  survives(lstm.safetensors, m:bytes(), 1500)
end

local TestWrongUses = {}

local function raises(sentence, ...)
  local ok, why = pcall(...)
  lu.assertFalse(ok)
  lu.assertEquals((why:gsub("^[^\n]-:%d+: ", "")), sentence)
end

function TestWrongUses.testCalls()
  for _, name in ipairs{"ts", "npy", "safetensors", "raw", "writenpy"} do
    raises(name .. ": the path must be a string, got nil", lstm[name])
  end
  raises("writenpy: an array is needed, got a table", lstm.writenpy, "x.npy", {1, 2})
  raises('raw: unknown option "dtype" (there are kind, offset and shape)', lstm.raw, "x", {dtype = "f4"})
  raises('raw: option "kind" must be one of "float32", "float64", "int32", "int64" and "uint8", got "float" '
    .. '(a string), did you mean "float32"?', lstm.raw, "x", {kind = "float"})
  raises('raw: option "offset" must be a whole number of at least 0, got -1', lstm.raw, "x", {offset = -1})
  raises("raw: shape must be up to four whole numbers, number 2 is -1", lstm.raw, "x", {shape = {2, -1}})
  raises("raw: shape must be up to four whole numbers, number 5 is 1", lstm.raw, "x", {shape = {1, 1, 1, 1, 1}})
  raises("raw: shape has no sizes", lstm.raw, "x", {shape = {}})
end

function TestWrongUses.testFilesThatAreNotThere()
  for _, name in ipairs{"ts", "npy", "safetensors", "raw"} do
    local value, why, status = lstm[name]("no/such/file")
    lu.assertEquals({value, why, status}, {nil, "cannot read no/such/file: No such file or directory", "io"})
    value, why = lstm[name](".")
    lu.assertEquals({value, why}, {nil, "cannot read .: Is a directory"})
  end
  local ok, why = lstm.writenpy("no/such/file.npy", lstm.array{1})
  lu.assertEquals({ok, why}, {nil, "cannot write no/such/file.npy: No such file or directory"})
end

local code = lu.LuaUnit.new():runSuiteByInstances{
  {"TestTs", TestTs}, {"TestNpy", TestNpy}, {"TestSafetensors", TestSafetensors}, {"TestRaw", TestRaw},
  {"TestAnyBytes", TestAnyBytes}, {"TestWrongUses", TestWrongUses},
}
os.remove(path)
os.exit(code, true)
