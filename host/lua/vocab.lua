-- vocab.lua: from text to token ids and back.
--
-- A vocabulary is the list of symbols that a text is made of: bytes, the code points of UTF-8, or words. Symbol number
-- i has the id i - 1; ids are what a model eats. A vocabulary travels in the model file as a string (`tometa`,
-- `frommeta`). Words stand between spaces; a line's end is a symbol of its own. What is not in the vocabulary is an
-- error, is left out, or is one more symbol: the field `unknown` is "error", "skip" or that symbol.

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

local UNKNOWN = "<unknown>"
local KINDS = {"bytes", "utf8", "words"}

local function new(kind, symbols, unknown)
  local self = setmetatable({kind = kind, symbols = symbols, ids = {}, unknown = unknown}, Vocab)
  for i, symbol in ipairs(symbols) do self.ids[symbol] = i - 1 end
  return self
end

local function default_unknown(kind) return kind == "words" and UNKNOWN or "error" end

-- Whether a string is one symbol of this kind.
local function is_symbol(kind, text)
  if kind == "bytes" then return #text == 1 end
  if kind == "utf8" then return text ~= "" and utf.length(text, 1) == #text end
  return text:find("^%S+$") ~= nil
end

local function check_kind(kind, where)
  for _, known in ipairs(KINDS) do
    if kind == known then return kind end
  end
  core.raise(where .. ": " .. options.unknown("kind of vocabulary", kind, KINDS))
end

local function check_options(opts, kind, where)
  opts = options.check(opts, {least = {type = "integer", min = 1, default = 1}, unknown = {type = "string"}}, where)
  opts.unknown = opts.unknown or default_unknown(kind)
  if opts.unknown ~= "error" and opts.unknown ~= "skip" and not is_symbol(kind, opts.unknown) then
    core.raise(('%s: unknown must be "error", "skip" or %s, got %s'):format(where,
      kind == "bytes" and "one byte" or kind == "utf8" and "one character" or "a word", options.show(opts.unknown)))
  end
  if opts.least > 1 and opts.unknown == "error" then
    core.raise(where .. ': least leaves symbols out: say unknown = "skip", or which symbol stands for them')
  end
  return opts
end

-- The vocabulary of what a dictionary has counted; or nil, message.
local function of_counts(dictionary, kind, opts)
  local symbols, count = dictionary:symbols(opts.least, kind == "words" and 2147483647 or MAX_SYMBOLS)
  if count > #symbols then
    return nil, ("%d different characters (at most %d make sense)"):format(count, MAX_SYMBOLS)
  end
  local has = {}
  for _, symbol in ipairs(symbols) do has[symbol] = true end
  for _, symbol in ipairs{kind == "words" and "\n" or opts.unknown, opts.unknown} do
    if symbol ~= "error" and symbol ~= "skip" and not has[symbol] then
      has[symbol] = true
      symbols[#symbols + 1] = symbol
    end
  end
  table.sort(symbols)
  return new(kind, symbols, opts.unknown)
end

local BYTES_TAKE_ALL = '; the "bytes" vocabulary takes any text'

-- lstm.vocab(text [, kind [, opts]]): the vocabulary of a text.
-- kind: "bytes" (default): its distinct bytes; "utf8": its distinct code points; "words": its distinct words, and "\n"
--   for the end of a line. Sorted.
-- opts: least 1 (symbols that occur less often are left out); unknown: what stands for all others: "error" (default for
--   bytes and utf8), "skip", or a symbol (default for words: "<unknown>"). It also stands for bytes that are no UTF-8.
-- Raises for an empty text, an unknown kind, text that is not UTF-8 (with the place).
local function of_text(_, text, kind, opts)
  kind = check_kind(kind or "bytes", "vocab")
  if type(text) ~= "string" then core.raise("vocab: text must be a string, got " .. options.show(text)) end
  opts = check_options(opts, kind, "vocab")
  if text == "" then core.raise("vocab: the text is empty, there is nothing to learn from") end
  local dictionary = core.dictionary(kind)
  local total, place, symbol = dictionary:count(nil, text, opts.unknown ~= "error")
  if not total then
    core.raise(("vocab: the text is not UTF-8 at %s: %s%s"):format(utf.place(text, place), shown(symbol),
      BYTES_TAKE_ALL))
  end
  local self, message = of_counts(dictionary, kind, opts)
  return self or core.raise("vocab: " .. message)
end

--- How many symbols there are.
function Vocab:size() return #self.symbols end

Vocab.__len = Vocab.size

--- The symbol (a string) of an id from 0 to size - 1. Raises for any other.
function Vocab:symbol(id)
  return self.symbols[options.argument(id, "number", "symbol: the id") + 1] or
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

-- The dictionary that encodes: made once.
local function dictionary_of(self)
  if not self.map then
    local unknown = self.unknown == "error" and -1 or self.unknown == "skip" and -2 or self.ids[self.unknown]
    self.map = core.dictionary(self.kind, self.symbols, unknown)
  end
  return self.map
end

local function tokens_of(self, ids) return setmetatable({kind = "tokens", ids = ids, vocab = self}, Tokens) end

-- What a text has that the vocabulary has not. place: "line 3, column 7 (byte 52)".
local function not_there(self, place, symbol, broken)
  if broken then return ("the text is not UTF-8 at %s: %s%s"):format(place, shown(symbol), BYTES_TAKE_ALL) end
  return ("%s at %s is not in the vocabulary of %d %s"):format(shown(symbol), place, #self.symbols,
    self.kind == "utf8" and "characters" or self.kind)
end

--- The ids of a text: a token sequence (fields kind = "tokens", ids = int32 array [n] from 0, vocab) with `#`,
-- `:split(fraction, ...)` and `:decode()`.
-- Raises for an empty text and, where unknown = "error", for a symbol that is not in the vocabulary, with its place.
function Vocab:encode(text)
  if type(text) ~= "string" then core.raise("encode: text must be a string, got " .. options.show(text)) end
  if text == "" then core.raise("encode: the text is empty") end
  local ids, place, symbol, broken = dictionary_of(self):encode(nil, text)
  if not ids then core.raise("encode: " .. not_there(self, utf.place(text, place), symbol, broken)) end
  if #ids == 0 then
    core.raise(self.kind == "words" and "encode: the text has no words" or "encode: the text has no known symbols")
  end
  return tokens_of(self, ids)
end

-- "line 3, column 7 (byte 52)" in a file, or in its text.
local function place_in(path, text, place)
  if text then return utf.place(text, place) end
  local line, column = core.text_place(path, place)
  return ("line %s, column %s (byte %d)"):format(tostring(line), tostring(column), place)
end

--- lstm.text(path [, kind or vocabulary [, opts]]): the vocabulary of a file and its tokens. The file is read piece by
-- piece: neither its text nor its ids get into Lua's heap, and an id takes one byte where the vocabulary has at most
-- 256 symbols (ids of the kind "uint8"), else four. kind, opts: as for lstm.vocab.
-- Returns nil, message, status for a file that cannot be read, is empty, or has what the vocabulary has not.
function vocab.text(path, kind, opts)
  if type(path) ~= "string" then core.raise("text: the path must be a string, got " .. options.show(path)) end
  local function bad(message) return nil, path .. ": " .. message, "format" end
  local source, text = path, nil
  if core.exists(path) and not core.file_size(path) then         -- a pipe, which cannot be read twice
    local message, status
    text, message, status = core.readfile(path)
    if not text then return nil, message, status end
    source = nil
  end
  local self = vocab.is(kind) and kind
  if self and opts then core.raise("text: the vocabulary is given: it has its options already") end
  if not self then
    kind = check_kind(kind or "bytes", "text")
    opts = check_options(opts, kind, "text")
    local dictionary = core.dictionary(kind)
    local total, place, symbol, broken = dictionary:count(source, text, opts.unknown ~= "error")
    if not total and broken == nil then return nil, place, symbol end
    if not total then
      return bad(("the text is not UTF-8 at %s: %s%s"):format(place_in(path, text, place), shown(symbol),
        BYTES_TAKE_ALL))
    end
    if total == 0 then return bad "there is no text in it" end
    local message
    self, message = of_counts(dictionary, kind, opts)
    if not self then return bad(message) end
  end
  local ids, place, symbol, broken = dictionary_of(self):encode(source, text, #self.symbols <= 256)
  if not ids and broken == nil then return nil, place, symbol end
  if not ids then return bad(not_there(self, place_in(path, text, place), symbol, broken)) end
  if #ids == 0 then return bad "there is no text in it" end
  return self, tokens_of(self, ids)
end

--- The text of ids: an int32 array [n], a table of ids from 0, or a token sequence. Raises for an id out of range.
function Vocab:decode(ids)
  if getmetatable(ids) == Tokens then ids = ids.ids end
  if not core.is_array(ids) then options.argument(ids, "table", "decode: the ids") end
  if ids.totable then ids = ids:totable() end
  local pieces = {}
  for i, id in ipairs(ids) do
    options.argument(id, "number", "decode: each id")
    pieces[i] = self.symbols[id + 1]
    if not pieces[i] then
      error(("decode: id %s at position %d is outside 0..%d"):format(tostring(id), i, #self.symbols - 1), 2)
    end
  end
  if self.kind ~= "words" then return table.concat(pieces) end
  return (table.concat(pieces, " "):gsub(" ?\n ?", "\n"))
end

--- Whether two vocabularies have the same symbols in the same order, and the same for what is unknown.
function Vocab.__eq(a, b)
  return a.kind == b.kind and a.unknown == b.unknown
    and table.concat(a.symbols, "\255") == table.concat(b.symbols, "\255")
end

local function to_hex(text) return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
local function from_hex(hex) return (hex:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end)) end

--- The vocabulary as one string of UTF-8 for a model file: its kind and its symbols, in hex where they are no text.
-- Behind the kind stands what is not usual: "utf8-skip ...", "utf8-hex-u3f ...": unknown = "?".
function Vocab:tometa()
  local all, kind = table.concat(self.symbols, self.kind == "words" and " " or ""), self.kind
  if all:find("%z") or utf.broken_at(all) then kind, all = kind .. "-hex", to_hex(all) end
  if self.unknown ~= default_unknown(self.kind) then
    kind = kind .. "-" .. ((self.unknown == "error" or self.unknown == "skip") and self.unknown
      or "u" .. to_hex(self.unknown))
  end
  return kind .. " " .. all
end

-- hex (true or nil) and unknown of the flags behind a kind; or nil where they are none.
local function read_flags(flags, kind)
  local hex, unknown = nil, default_unknown(kind)
  for flag in flags:gmatch("[^-]+") do
    if flag == "hex" then hex = true
    elseif flag == "skip" or flag == "error" then unknown = flag
    elseif flag:find("^u%x+$") and #flag % 2 == 1 then unknown = from_hex(flag:sub(2))
    else return nil, nil end
  end
  return hex, unknown
end

local function split_symbols(kind, all)
  local symbols = {}
  if kind == "utf8" then
    for _, c in utf.characters(all) do symbols[#symbols + 1] = c end
  else
    for symbol in all:gmatch(kind == "words" and "[^ ]+" or ".") do symbols[#symbols + 1] = symbol end
  end
  return symbols
end

--- The vocabulary of a string made by `:tometa()`. Returns nil, message, "format" for anything else.
function vocab.frommeta(text)
  options.argument(text, "string", "frommeta: the text")
  local function bad(what) return nil, "not a vocabulary" .. what, "format" end
  local kind, flags, all = text:match("^(%l+%d?)(%-?[%-%w]*) (.+)$")
  local hex, unknown = read_flags(flags or "-?", kind)
  if not (kind == "bytes" or kind == "utf8" or kind == "words") or not unknown then
    return bad ": it must start with bytes, utf8 or words"
  end
  if hex then
    if #all % 2 == 1 or all:find("%X") then return bad ": broken hexadecimal digits" end
    all = from_hex(all)
  end
  if kind == "utf8" and utf.broken_at(all) then return bad ": broken UTF-8" end
  local symbols = split_symbols(kind, all)
  for i = 2, #symbols do
    if symbols[i - 1] >= symbols[i] then return bad ": its symbols are not sorted" end
  end
  local self = new(kind, symbols, unknown)
  if kind == "words" and not self.ids["\n"] or unknown ~= "error" and unknown ~= "skip" and not self.ids[unknown] then
    return bad((" of %s: the end of a line or %s is missing"):format(kind, unknown))
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
  from, to = cuts.range("tokens", #self.ids, from, to)
  return setmetatable({kind = "tokens", ids = self.ids:slice(from, to), vocab = self.vocab}, Tokens)
end

--- Cuts the sequence by position: `split(0.9)` gives the first 90 % and the rest, `split(0.8, 0.1)` three parts.
-- The parts are views. Raises for fractions that do not leave something for every part.
function Tokens:split(...)
  local parts = {}
  local ends = cuts.ends("tokens", #self.ids, {...})
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
  local length = math.floor(#self.ids / lanes)
  local count, k = math.floor((length - 1) / seq), -1
  if count < 1 then
    core.raise(("batches: %d tokens are too few for batch = %d streams of seq = %d: at least %d are needed"):format(
      #self.ids, lanes, seq, lanes * (seq + 1)))
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
