-- Vocabularies: bytes, code points and words, round trips, and what a user is told about a symbol that is not there.
local lu = require "luaunit"
local lstm = require "lstm"
local vocab = require "lstm.vocab"

local function all_bytes()
  local bytes = {}
  for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
  return table.concat(bytes)
end

local TestBytes = {}

function TestBytes.testSortedDistinct()
  local v = vocab("hello world")
  lu.assertEquals(v:size(), 8)
  lu.assertEquals(table.concat(v:pieces()), " dehlorw")
  lu.assertEquals(v:symbol(0), " ")
  lu.assertEquals(v:id("w"), 7)
  lu.assertNil(v:id("z"))
end

function TestBytes.testEncodeDecode()
  local v = vocab("hello world")
  local tokens = v:encode("hold")
  lu.assertEquals(tokens.kind, "tokens")
  lu.assertEquals(tokens.ids:kind(), "int32")
  lu.assertEquals(tokens.ids:totable(), {3, 5, 4, 1})
  lu.assertEquals(#tokens, 4)
  lu.assertEquals(tokens:decode(), "hold")
  lu.assertEquals(v:decode({3, 5}), "ho")
  lu.assertEquals(v:decode(tokens.ids), "hold")
end

function TestBytes.testEveryByteRoundTrips()
  local text = all_bytes()
  local v = vocab(text)
  lu.assertEquals(v:size(), 256)
  lu.assertEquals(v:encode(text):decode(), text)
  local copy = assert(vocab.frommeta(v:tometa()))
  lu.assertEquals(copy:pieces(), v:pieces())
  lu.assertStrContains(v:tometa(), "bytes-hex 00010203")
  lu.assertTrue(copy == v)
end

function TestBytes.testMetaIsTextWhereItCan()
  lu.assertEquals(vocab("ab\n"):tometa(), "bytes \nab")
  lu.assertEquals(vocab.frommeta("bytes \nab"):size(), 3)
end

function TestBytes.testUnknownSymbol()
  local v = vocab("abc\n")
  lu.assertErrorMsgContains('encode: "x" at line 2, column 3 (byte 7) is not in the vocabulary of 4 bytes',
    v.encode, v, "abc\nabx")
  lu.assertErrorMsgContains("encode: 0xFF at line 1, column 1 (byte 1)", v.encode, v, "\255")
end

function TestBytes.testMistakes()
  lu.assertErrorMsgContains("the text is empty", vocab, "")
  lu.assertErrorMsgContains("must be a string, got nil", vocab, nil)
  lu.assertErrorMsgContains('did you mean "bytes"', vocab, "a", "byte")
  local v = vocab("abc")
  lu.assertErrorMsgContains("empty", v.encode, v, "")
  lu.assertErrorMsgContains("outside 0..2", v.symbol, v, 3)
  lu.assertErrorMsgContains("id 7 at position 2 is outside 0..2", v.decode, v, {1, 7})
end

function TestBytes.testErrorsPointAtTheCaller()
  local _, message = pcall(function() vocab("abc"):encode("x") end)
  lu.assertStrMatches(message, ".*vocab%.lua:%d+: encode: .*")
  local line = debug.getinfo(1, "l").currentline + 1
  _, message = pcall(function() vocab("") end)
  lu.assertStrContains(message, ":" .. line .. ": vocab")
end

local TestUtf8 = {}

function TestUtf8.testCodePoints()
  local v = vocab("naïve café €", "utf8")
  lu.assertEquals(table.concat(v:pieces()), " acefnvéï€")
  lu.assertEquals(v:encode("é€"):decode(), "é€")
  lu.assertEquals(#v:encode("é€"), 2)
end

function TestUtf8.testMeta()
  local v = vocab("añ😀", "utf8")
  lu.assertEquals(v:tometa(), "utf8 añ😀")
  lu.assertEquals(vocab.frommeta(v:tometa()):pieces(), v:pieces())
  v = vocab("\0é", "utf8")
  lu.assertEquals(v:tometa(), "utf8-hex 00c3a9")
  lu.assertEquals(vocab.frommeta(v:tometa()):pieces(), {"\0", "é"})
end

function TestUtf8.testBrokenIsRefusedWithItsPlace()
  local broken = {"ab\255", "ab\195", "ab\192\128", "ab\237\160\128", "ab\244\144\128\128", "ab\128", "ab\226\130"}
  for _, text in ipairs(broken) do
    lu.assertErrorMsgContains("not UTF-8 at line 1, column 3 (byte 3)", vocab, text, "utf8")
  end
  local v = vocab("ab", "utf8")
  lu.assertErrorMsgContains("(byte 2)", v.encode, v, "a\255")
end

function TestUtf8.testUnknownSymbol()
  local v = vocab("abc", "utf8")
  lu.assertErrorMsgContains('"é" at line 1, column 2 (byte 2) is not in the vocabulary of 3 characters',
    v.encode, v, "aé")
end

local TestWords = {}

function TestWords.testSymbols()
  local v = lstm.vocab("the cat\nthe  dog sleeps", "words")
  lu.assertEquals(v:pieces(), {"\n", "<unknown>", "cat", "dog", "sleeps", "the"})
  lu.assertEquals(lstm.vocab("a b a c a b", "words", {least = 2}):pieces(), {"\n", "<unknown>", "a", "b"})
  lu.assertEquals(tostring(v), "vocabulary of 6 words")
end

function TestWords.testThereAndBack()
  local v = lstm.vocab("the cat\nthe dog sleeps", "words")
  lu.assertEquals(v:encode("the\tcat \n\ndog").ids:totable(), {5, 2, 0, 0, 3})
  lu.assertEquals(v:encode("the bird sleeps"):decode(), "the <unknown> sleeps")
  lu.assertEquals(v:encode("the cat\ndog\n"):decode(), "the cat\ndog\n")
  lu.assertEquals(v:decode{}, "")
  lu.assertErrorMsgContains("the text has no words", v.encode, v, "  ")
end

function TestWords.testTravels()
  for _, text in ipairs{"the cat", "l'été n'est\npas fini", "a\255b c"} do
    local v = lstm.vocab(text, "words")
    lu.assertTrue(assert(lstm.vocab.frommeta(v:tometa())) == v)
  end
  lu.assertNil((lstm.vocab.frommeta "words a b"))
end

function TestWords.testWritesOn()
  local v = lstm.vocab("a b c d", "words")
  local m = lstm.model{input = v, hidden = 4, output = v, seed = 1}
  local text = m:sample{prime = "a b", length = 30, temperature = 1, seed = 1}
  lu.assertEquals(text:sub(1, 3), "a b")
  for word in text:gmatch("%S+") do lu.assertNotNil(v:id(word)) end
  lu.assertEquals(#v:encode(text), 32)
end

function TestWords.testRefused()
  lu.assertErrorMsgContains('least belongs to the kind "words"', lstm.vocab, "abc", "bytes", {least = 2})
  lu.assertErrorMsgContains('unknown option "min"', lstm.vocab, "abc", "words", {min = 2})
end

local TestMeta = {}

function TestMeta.testRefused()
  for _, text in ipairs{"", "words a b", "bytes", "bytes-hex 0", "bytes-hex zz", "bytes ba", "bytes aa", "utf8 \255"} do
    local v, message, status = vocab.frommeta(text)
    lu.assertNil(v, text)
    lu.assertStrContains(message, "not a vocabulary")
    lu.assertEquals(status, "format")
  end
end

local TestSplit = {}

function TestSplit.testByPosition()
  local tokens = vocab("abc"):encode(("abc"):rep(100))
  local train, val = tokens:split(0.9)
  lu.assertEquals(#train, 270)
  lu.assertEquals(#val, 30)
  lu.assertEquals(val:decode():sub(1, 3), "abc")
  local a, b, c = tokens:split(0.5, 0.25)
  lu.assertEquals({#a, #b, #c}, {150, 75, 75})
end

function TestSplit.testRounding()
  local tokens = vocab("a"):encode(("a"):rep(100))
  lu.assertEquals(#tokens:split(0.29), 29)
end

function TestSplit.testMistakes()
  local tokens = vocab("abc"):encode("abcabc")
  lu.assertErrorMsgContains("between 0 and 1", tokens.split, tokens, 90)
  lu.assertErrorMsgContains("give a fraction", tokens.split, tokens)
  lu.assertErrorMsgContains("leave nothing", tokens.split, tokens, 0.5, 0.5)
  lu.assertErrorMsgContains("part 1 of 6 tokens would be empty", tokens.split, tokens, 0.01)
end

function TestSplit.testTostring()
  lu.assertEquals(tostring(vocab("abc"):encode("ab")), "2 tokens of a vocabulary of 3 bytes")
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestBytes", TestBytes},
  {"TestUtf8", TestUtf8},
  {"TestWords", TestWords},
  {"TestMeta", TestMeta},
  {"TestSplit", TestSplit},
}, true)
