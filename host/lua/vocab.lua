-- vocab.lua: from text to token ids and back.
--
-- A vocabulary is the list of symbols that a text is made of: bytes, the code points of UTF-8, or words. Symbol number
-- i has the id i - 1; ids are what a model eats. A vocabulary travels in the model file as a string (`tometa`,
-- `frommeta`). Words stand between spaces; a line's end is a symbol of its own, and all other words are one more.

local core = require "lstm.core"
local options = require "lstm.options"
local methods = require "lstm.methods"
local cuts = require "lstm.split"
local utf = require "lstm.utf"

local vocab = {}
local Vocab = methods.guard({}, "vocab", {"map"})
Vocab.__index = Vocab
Vocab.__name = "lstm.vocab"
local Tokens = methods.guard({}, "tokens")
Tokens.__index = Tokens
Tokens.__name = "lstm.tokens"

local MAX_SYMBOLS = 65536          -- a larger vocabulary is an accident: a binary file, or hashes

-- A symbol for a message: printable as it is, anything else as its bytes.
local function shown(symbol)
  if symbol:find("^[\33-\126]+$") or #symbol > 1 and not utf.broken_at(symbol) then return '"' .. symbol .. '"' end
  return "0x" .. symbol:gsub(".", function(c) return ("%02X"):format(c:byte()) end)
end

local function distinct_bytes(text)
  local symbols = {}
  for byte = 0, 255 do
    local c = string.char(byte)
    if text:find(c, 1, true) then symbols[#symbols + 1] = c end
  end
  return symbols
end

-- Bytes of UTF-8 sort as their code points do.
local function distinct_characters(text, level)
  local bad = utf.broken_at(text)
  if bad then
    error(("vocab: the text is not UTF-8 at %s: %s; the \"bytes\" vocabulary takes any text"):format(
      utf.place(text, bad), shown(text:sub(bad, bad))), level + 1)
  end
  local seen, symbols = {}, {}
  for _, c in utf.characters(text) do
    if not seen[c] then
      seen[c] = true
      symbols[#symbols + 1] = c
    end
  end
  if #symbols > MAX_SYMBOLS then
    error(("vocab: %d different characters (at most %d make sense)"):format(#symbols, MAX_SYMBOLS), level + 1)
  end
  table.sort(symbols)
  return symbols
end

local UNKNOWN = "<unknown>"

local function distinct_words(text, least)
  local seen, symbols = {}, {"\n", UNKNOWN}
  for word in text:gmatch("%S+") do
    seen[word] = (seen[word] or 0) + 1
    if seen[word] == least and word ~= UNKNOWN then symbols[#symbols + 1] = word end
  end
  table.sort(symbols)
  return symbols
end

local function new(kind, symbols)
  local self = setmetatable({kind = kind, symbols = symbols, ids = {}}, Vocab)
  for i, symbol in ipairs(symbols) do self.ids[symbol] = i - 1 end
  return self
end

-- lstm.vocab(text [, kind [, opts]]): the vocabulary of a text.
-- kind: "bytes" (default): its distinct bytes; "utf8": its distinct code points; "words": its distinct words, "\n" for
--   the end of a line, and "<unknown>" for all other words. Sorted.
-- opts: least 1 (words: those that occur less often are left out).
-- Raises for an empty text, an unknown kind, text that is not UTF-8 (with the place).
local function of_text(_, text, kind, opts)
  kind = kind or "bytes"
  if type(text) ~= "string" then error("vocab: text must be a string, got " .. options.show(text), 2) end
  if kind ~= "bytes" and kind ~= "utf8" and kind ~= "words" then
    error("vocab: " .. options.unknown("kind of vocabulary", kind, {"bytes", "utf8", "words"}), 2)
  end
  opts = options.check(opts, {least = {type = "integer", min = 1}}, "vocab")
  if opts.least and kind ~= "words" then error('vocab: least belongs to the kind "words"', 2) end
  if text == "" then error("vocab: the text is empty, there is nothing to learn from", 2) end
  if kind == "words" then return new(kind, distinct_words(text, opts.least or 1)) end
  return new(kind, kind == "bytes" and distinct_bytes(text) or distinct_characters(text, 2))
end

--- How many symbols there are.
function Vocab:size() return #self.symbols end

Vocab.__len = Vocab.size

--- The symbol (a string) of an id from 0 to size - 1. Raises for any other.
function Vocab:symbol(id)
  return self.symbols[id + 1] or
    error(("vocab: id %s is outside 0..%d"):format(tostring(id), #self.symbols - 1), 2)
end

--- The id (from 0) of a symbol, or nil where the vocabulary does not have it.
function Vocab:id(symbol) return self.ids[symbol] end

--- A list of all symbols in the order of their ids (a copy, 1-based: pieces()[id + 1]).
function Vocab:pieces()
  local pieces = {}
  for i, symbol in ipairs(self.symbols) do pieces[i] = symbol end
  return pieces
end

local function raise_unknown(self, text, position, symbol, level)
  error(("encode: %s at %s is not in the vocabulary of %d %s"):format(shown(symbol), utf.place(text, position),
    #self.symbols, self.kind == "bytes" and "bytes" or "characters"), level + 1)
end

local function encode_bytes(self, text, level)
  if not self.map then
    local map = {}
    for byte = 0, 255 do map[byte + 1] = self.ids[string.char(byte)] or -1 end
    self.map = core.array(map, "int32")
  end
  local ids, position = core.encode_bytes(text, self.map)
  if not ids then raise_unknown(self, text, position, text:sub(position, position), level + 1) end
  return ids
end

local function encode_utf8(self, text, level)
  local bad = utf.broken_at(text)
  if bad then error("encode: the text is not UTF-8 at " .. utf.place(text, bad), level + 1) end
  local ids, n = {}, 0
  for at, c in utf.characters(text) do
    n = n + 1
    ids[n] = self.ids[c]
    if not ids[n] then raise_unknown(self, text, at, c, level + 1) end
  end
  return core.array(ids, "int32")
end

local function encode_words(self, text)
  local ids, unknown, line = {}, self.ids[UNKNOWN], self.ids["\n"]
  for spaces, word in text:gmatch("(%s*)(%S*)") do
    for _ in spaces:gmatch("\n") do ids[#ids + 1] = line end
    if word ~= "" then ids[#ids + 1] = self.ids[word] or unknown end
  end
  return core.array(ids, "int32")
end

--- The ids of a text: a token sequence (fields kind = "tokens", ids = int32 array [n] from 0, vocab) with `#`,
-- `:split(fraction, ...)` and `:decode()`.
-- Raises for an empty text and for a symbol that is not in the vocabulary, with the symbol and its place; words that
-- are not in it are "<unknown>".
function Vocab:encode(text)
  if type(text) ~= "string" then error("encode: text must be a string, got " .. options.show(text), 2) end
  if text == "" then error("encode: the text is empty", 2) end
  local ids
  if self.kind == "words" then
    ids = encode_words(self, text)
    if #ids == 0 then error("encode: the text has no words", 2) end
  else
    ids = self.kind == "bytes" and encode_bytes(self, text, 2) or encode_utf8(self, text, 2)
  end
  return setmetatable({kind = "tokens", ids = ids, vocab = self}, Tokens)
end

--- The text of ids: an int32 array [n], a table of ids from 0, or a token sequence. Raises for an id out of range.
function Vocab:decode(ids)
  if getmetatable(ids) == Tokens then ids = ids.ids end
  if ids.totable then ids = ids:totable() end
  local pieces = {}
  for i, id in ipairs(ids) do
    pieces[i] = self.symbols[id + 1]
    if not pieces[i] then
      error(("decode: id %s at position %d is outside 0..%d"):format(tostring(id), i, #self.symbols - 1), 2)
    end
  end
  if self.kind ~= "words" then return table.concat(pieces) end
  return (table.concat(pieces, " "):gsub(" ?\n ?", "\n"))
end

--- Whether two vocabularies have the same symbols in the same order.
function Vocab.__eq(a, b)
  return a.kind == b.kind and table.concat(a.symbols, "\255") == table.concat(b.symbols, "\255")
end

local function to_hex(text) return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
local function from_hex(hex) return (hex:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end)) end

--- The vocabulary as one string of UTF-8 for a model file: its kind and its symbols, in hex where they are no text.
function Vocab:tometa()
  local all = table.concat(self.symbols, self.kind == "words" and " " or "")
  if all:find("%z") or utf.broken_at(all) then return self.kind .. "-hex " .. to_hex(all) end
  return self.kind .. " " .. all
end

--- The vocabulary of a string made by `:tometa()`. Returns nil, message, "format" for anything else.
function vocab.frommeta(text)
  local kind, hex, all = text:match("^(%l+%d?)(%-?%l*) (.+)$")
  if not (kind == "bytes" or kind == "utf8" or kind == "words") or hex ~= "" and hex ~= "-hex" then
    return nil, "not a vocabulary: it must start with bytes, utf8 or words", "format"
  end
  if hex ~= "" then
    if #all % 2 == 1 or all:find("%X") then return nil, "not a vocabulary: broken hexadecimal digits", "format" end
    all = from_hex(all)
  end
  local symbols = {}
  if kind == "bytes" then
    for c in all:gmatch(".") do symbols[#symbols + 1] = c end
  elseif kind == "words" then
    for word in all:gmatch("[^ ]+") do symbols[#symbols + 1] = word end
  else
    if utf.broken_at(all) then return nil, "not a vocabulary: broken UTF-8", "format" end
    for _, c in utf.characters(all) do symbols[#symbols + 1] = c end
  end
  for i = 2, #symbols do
    if symbols[i - 1] >= symbols[i] then return nil, "not a vocabulary: its symbols are not sorted", "format" end
  end
  local self = new(kind, symbols)
  if kind == "words" and not (self.ids["\n"] and self.ids[UNKNOWN]) then
    return nil, "not a vocabulary of words: the end of a line or " .. UNKNOWN .. " is missing", "format"
  end
  return self
end

--- Whether a value is a vocabulary.
function vocab.is(value) return type(value) == "table" and getmetatable(value) == Vocab end

function Vocab:__tostring()
  return ("vocabulary of %d %s"):format(#self.symbols, self.kind == "utf8" and "characters" or self.kind)
end

--- How many tokens there are.
function Tokens:__len() return #self.ids end

--- Tokens from..to as a view (1-based, both included; negative counts from the end). Raises where there are none.
function Tokens:slice(from, to)
  from, to = cuts.range("tokens", #self, from, to)
  return setmetatable({kind = "tokens", ids = self.ids:slice(from, to), vocab = self.vocab}, Tokens)
end

--- Cuts the sequence by position: `split(0.9)` gives the first 90 % and the rest, `split(0.8, 0.1)` three parts.
-- The parts are views. Raises for fractions that do not leave something for every part.
function Tokens:split(...)
  local parts = {}
  local ends = cuts.ends("tokens", #self, {...})
  for i, to in ipairs(ends) do parts[i] = self:slice((ends[i - 1] or 0) + 1, to) end
  return (table.unpack or unpack)(parts)             -- luacheck: ignore unpack
end

--- Batches as fit makes them: `for x, y, extra in tokens:batches{batch = 32, seq = 64} do`: the text as `batch` streams
-- side by side, x and y int32 [seq][batch], y one token later; extra: {reset = true} for the first, as states are
-- carried from one to the next. Raises where there are too few tokens.
function Tokens:batches(opts)
  opts = options.check(opts, {batch = {type = "integer", min = 1, default = 32},
    seq = {type = "integer", min = 1, default = 64}}, "batches")
  local lanes, seq = opts.batch, opts.seq
  local length = math.floor(#self / lanes)
  local count, k = math.floor((length - 1) / seq), -1
  if count < 1 then
    core.raise(("batches: %d tokens are too few for batch = %d streams of seq = %d: at least %d are needed"):format(
      #self, lanes, seq, lanes * (seq + 1)))
  end
  return function()
    k = k + 1
    if k >= count then return nil end
    local x, y = core.zeros({seq, lanes}, "int32"), core.zeros({seq, lanes}, "int32")
    core.gather_streams(self.ids, core.range(k * seq, lanes, length), seq, x, y)
    return x, y, {reset = k == 0}
  end
end

--- The text again.
function Tokens:decode() return self.vocab:decode(self.ids) end

function Tokens:__tostring() return ("%d tokens of a %s"):format(#self.ids, tostring(self.vocab)) end

return setmetatable(vocab, {__call = of_text})
