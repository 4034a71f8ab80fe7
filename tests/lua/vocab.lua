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
  lu.assertErrorMsgContains("least leaves symbols out", lstm.vocab, "abc", "bytes", {least = 2})
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

local TestUnknown = {}

function TestUnknown.testSkip()
  local v = vocab("abc", "utf8", {unknown = "skip"})
  lu.assertEquals(v:encode("axébc").ids:totable(), {0, 1, 2})
  lu.assertEquals(v:encode("a\255b\195").ids:totable(), {0, 1})
  lu.assertEquals(vocab("abc", "bytes", {unknown = "skip"}):encode("xaxbx"):decode(), "ab")
  lu.assertEquals(lstm.vocab("the cat", "words", {unknown = "skip"}):encode("a cat"):decode(), "cat")
  lu.assertErrorMsgContains("no known symbols", v.encode, v, "xyz")
end

function TestUnknown.testSymbol()
  local v = vocab("aab\255\195", "utf8", {unknown = "\239\191\189", least = 2})
  lu.assertEquals(v:pieces(), {"a", "\239\191\189"})
  lu.assertEquals(v:encode("ab\255").ids:totable(), {0, 1, 1})
  lu.assertEquals(vocab("abc", "bytes", {unknown = "b"}):encode("xyz"):decode(), "bbb")
  local w = lstm.vocab("a b a", "words", {unknown = "UNK", least = 2})
  lu.assertEquals(w:encode("a b c"):decode(), "a UNK UNK")
end

function TestUnknown.testErrorForWords()
  local v = lstm.vocab("the cat", "words", {unknown = "error"})
  lu.assertEquals(v:pieces(), {"\n", "cat", "the"})
  lu.assertErrorMsgContains('encode: "dog" at line 2, column 5 (byte 9) is not in the vocabulary of 3 words',
    v.encode, v,
    "cat\nthe dog")
end

function TestUnknown.testTravels()
  for _, v in ipairs{
    vocab("abc", "utf8", {unknown = "skip"}), vocab("a-b c", "bytes", {unknown = "\0"}), vocab("é", "utf8",
      {unknown = "?"}),
    vocab("a b", "words", {unknown = "error"}), vocab("a b", "words", {unknown = "_-_"}), vocab("a\255 b", "words"),
  } do
    local copy = assert(vocab.frommeta(v:tometa()))
    lu.assertTrue(copy == v, v:tometa())
    lu.assertEquals(copy.unknown, v.unknown)
  end
  lu.assertFalse(vocab("ab", "utf8") == vocab("ab", "utf8", {unknown = "skip"}))
  for _, text in ipairs{"utf8-u3f ab", "words-skip a b", "utf8-sk ab", "words-error-hex 6", "bytes-u3 ab"} do
    lu.assertNil((vocab.frommeta(text)), text)
  end
end

local TestFiles = {}
local path = os.tmpname()

local function file(text)
  assert(lstm.writefile(path, text))
  return path
end

-- What is read in pieces is what is read at once.
function TestFiles.testAgreesWithStrings()
  local rng, pieces, text = lstm.rng(4), {"a", "b ", "é", "😀", "\n", "the ", "\t", "word", "—", "x y"}, {}
  for i = 1, 150000 do text[i] = pieces[rng:index(#pieces)] end
  text = ("w"):rep(600000) .. table.concat(text)
  for _, kind in ipairs{"bytes", "utf8", "words"} do
    local v, tokens = lstm.text(file(text), kind)
    local w = lstm.vocab(text, kind)
    lu.assertTrue(v == w, kind)
    lu.assertTrue(require "lstm.core".whole(tokens.ids) == w:encode(text).ids, kind)
    lu.assertEquals(tokens.ids:kind(), #v <= 256 and "uint8" or "int32")
    lu.assertEquals({#tokens, tokens.vocab == v}, {#w:encode(text), true})
  end
end

function TestFiles.testTheSameVocabulary()
  local v = lstm.vocab("hello world\n")
  local same, tokens = lstm.text(file "hold", v)
  lu.assertTrue(rawequal(same, v))
  lu.assertEquals(tokens:decode(), "hold")
  local a, b = tokens:split(0.5)
  lu.assertEquals({a:decode(), b:decode(), tokens:slice(-1):decode()}, {"ho", "ld", "d"})
end

-- One byte an id, outside of Lua's heap.
function TestFiles.testHeap()
  file(("the quick brown fox\n"):rep(100000))
  collectgarbage()
  local before = collectgarbage "count"
  local _, tokens = lstm.text(path, "utf8")
  lu.assertEquals({#tokens, #tokens.ids:slice(1, 10):bytes()}, {2000000, 10})
  lu.assertTrue(collectgarbage "count" - before < 100)
end

-- Ids of one byte train as those of four do.
function TestFiles.testTrains()
  local text = ("the quick brown fox jumps over the lazy dog\n"):rep(60)
  local v, tokens = lstm.text(file(text))
  local losses = {}
  for k, data in ipairs{tokens, v:encode(text)} do
    local m = lstm.model{input = v, hidden = 8, output = v, seed = 1}
    assert(m:fit(data, {steps = 12, batch = 4, seq = 16, seed = 1, verbose = 0}))
    losses[k] = m:evaluate(data).loss
    lu.assertEquals(m:predict(data):shape(), #data)
  end
  lu.assertEquals(losses[1], losses[2])
end

function TestFiles.testBatches()
  local _, tokens = lstm.text(file "abcdefghijabcdefghij")
  local n = 0
  for x, y, extra in tokens:batches{batch = 2, seq = 4} do
    n = n + 1
    lu.assertEquals({x:kind(), extra.reset}, {"int32", n == 1})
    lu.assertEquals(tokens.vocab:decode(x:reshape{8}:slice(1, 1)), n == 1 and "a" or "e")
    lu.assertEquals(y[1][1], x[2][1])
  end
  lu.assertEquals(n, 2)
end

function TestFiles.testWhatIsWrong()
  local function says(sentence, ...)
    local v, why, status = lstm.text(...)
    lu.assertNil(v)
    lu.assertEquals({why, status}, {path .. ": " .. sentence, "format"})
  end
  says("there is no text in it", file "")
  says("there is no text in it", file " ", "words", {unknown = "skip"})
  says('the text is not UTF-8 at line 2, column 2 (byte 4): 0xFF; the "bytes" vocabulary takes any text',
    file "a\nb\255",
    "utf8")
  says('"x" at line 300001, column 2 (byte 600002) is not in the vocabulary of 2 bytes',
    file(("a\n"):rep(300000) .. "ax"),
    lstm.vocab "a\n")
  local v, why, status = lstm.text "no/such/file"
  lu.assertNil(v)
  lu.assertEquals({why, status}, {"cannot read no/such/file: No such file or directory", "io"})
end

local TestWrongUses = {}

local function raises(sentence, ...)
  local ok, why = pcall(...)
  lu.assertFalse(ok)
  lu.assertEquals((why:gsub("^[^\n]-:%d+: ", "")), sentence)
end

function TestWrongUses.testVocabularies()
  raises("vocab: text must be a string, got nil", lstm.vocab)
  raises("vocab: the text is empty, there is nothing to learn from", lstm.vocab, "")
  raises('vocab: unknown kind of vocabulary "word", did you mean "words"? (there are bytes, utf8 and words)',
    lstm.vocab,
    "a", "word")
  raises('vocab: unknown option "min" (there are least and unknown)', lstm.vocab, "a", "words", {min = 2})
  raises('vocab: option "least" must be a whole number of at least 1, got 0', lstm.vocab, "a", "words", {least = 0})
  raises('vocab: least leaves symbols out: say unknown = "skip", or which symbol stands for them', lstm.vocab, "a",
    "utf8",
    {least = 2})
  raises('vocab: unknown must be "error", "skip" or one character, got "ab" (a string)', lstm.vocab, "a", "utf8",
    {unknown = "ab"})
  raises('vocab: unknown must be "error", "skip" or a word, got "a b" (a string)', lstm.vocab, "a", "words",
    {unknown = "a b"})
  raises('vocab: the text is not UTF-8 at line 1, column 2 (byte 2): 0xFF; the "bytes" vocabulary takes any text',
    lstm.vocab, "a\255", "utf8")
end

function TestWrongUses.testTokens()
  local v = lstm.vocab "abc"
  raises("encode: text must be a string, got 5", v.encode, v, 5)
  raises("encode: the text is empty", v.encode, v, "")
  raises('encode: "x" at line 1, column 2 (byte 2) is not in the vocabulary of 3 bytes', v.encode, v, "ax")
  raises("decode: id 7 at position 1 is outside 0..2", v.decode, v, {7})
  raises("vocab: id 3 is outside 0..2", v.symbol, v, 3)
  local tokens = v:encode "abcabc"
  raises("slice: tokens 2 to 9 of 6", tokens.slice, tokens, 2, 9)
  raises("split: fraction 1 must be between 0 and 1, got 80", tokens.split, tokens, 80)
  raises("batches: 6 tokens are too few for batch = 32 streams of seq = 64: at least 2080 are needed", tokens.batches,
    tokens)
  raises('vocab: there is no method "decod"; did you mean "decode"?', function() return v.decod end)
  raises("text: the path must be a string, got nil", lstm.text)
  local dictionary = require "lstm.core".dictionary "words"
  dictionary:close()
  raises("the dictionary is closed", dictionary.count, dictionary, nil, "a b")
  raises('text: unknown kind of vocabulary "utf-8", did you mean "utf8"? (there are bytes, utf8 and words)', lstm.text,
    "x", "utf-8")
  raises("text: the vocabulary is given: it has its options already", lstm.text, "x", v, {least = 2})
end

local code = lu.LuaUnit.new():runSuiteByInstances{
  {"TestBytes", TestBytes}, {"TestUtf8", TestUtf8}, {"TestWords", TestWords}, {"TestMeta", TestMeta},
  {"TestSplit", TestSplit}, {"TestUnknown", TestUnknown}, {"TestFiles", TestFiles}, {"TestWrongUses", TestWrongUses},
}
os.remove(path)
os.exit(code, true)
