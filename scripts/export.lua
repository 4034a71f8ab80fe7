-- export.lua --c MODEL [-o FILE] [--name NAME]: a model as constants of a C program, for what has no files and no heap.
--
--   lstm scripts/export.lua --c gesture.safetensors -o gesture.h
--
-- Writes a header for lstm.h with the model's weights, and what it takes of flash and RAM; without -o, the header goes
-- to stdout. The header has the code that uses it. See STATIC MODELS in lstm.h.

local lstm = require "lstm"
local export = require "lstm.export"
local programs = require "lstm.program"

local opt = lstm.args{
  about = "Write a model as a C header of constants, for programs without files and heap.",
  {"model", help = "a model in safetensors format"},
  {"--c", flag = true, help = "as C, which is all that there is"},
  {"--out", alias = "-o", type = "string", value = "FILE", help = "the header; without it, standard output"},
  {"--name", type = "string", help = "what the model is called in C; else as its file"},
  {"--seq", default = 64, min = 1, max = 1048576, help = "bidirectional models: the longest sequence"},
  examples = {{"--c gesture.safetensors -o gesture.h", "gesture, GESTURE_INPUTS, ..."}},
}

local stop = lstm.args.stop
local wrong = programs.wrong(opt, {"out"}, {"model"})
if wrong then stop(wrong, 2) end

-- Words that no name can be, and beginnings that lstm.h and the language keep.
local reserved = {}
for word in ([[alignas alignof and asm auto bool break case catch char class const constexpr continue decltype default
  delete do double else enum explicit export extern false float for friend goto if inline int long main mutable
  namespace new noexcept not nullptr operator or private protected public register restrict return short signed sizeof
  static struct switch template this throw true try typedef typeid typename union unsigned using virtual void volatile
  while xor NULL linux unix lstm]]):gmatch("%a+") do reserved[word] = true end

local function is_name(name)
  return name:find("^%a[%w_]*$") and #name <= 60 and not reserved[name] and not name:lower():find("^lstm_")
end

-- A name for C: what was asked for, or made of the file's.
local function name_of(path)
  local name = opt.name or path:match("([^/\\]*)$"):gsub("%.([ed][en]coder)$", "_%1")
    :gsub("%.[^.]*$", ""):gsub("[^%w_]", "_")
  if not opt.name and not is_name(name) then name = "model_" .. name end
  if is_name(name) then return name end
  stop("--name " .. name .. ": a name in C has letters, digits and _, begins with a letter, and is no word of C or" ..
    " C++ nor lstm_...", 2)
end

local function need(value, message)
  if not value then stop(message) end
  return value
end

local function count(n)
  return (("%d"):format(n):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

local name = name_of(opt.model)
need(lstm.args.writable("--out", opt.out))
local model, message = lstm.load(opt.model)
need(model, require "lstm.sniff".no_model(opt.model) or message)
if not rawget(model, "core") then
  stop(("%s: two models: export %s.encoder and %s.decoder, each as a header"):format(opt.model, opt.model, opt.model))
end
local text, bytes = export.c(model, name, opt.seq)
need(text, opt.model .. ": " .. tostring(bytes))
if not opt.out then return io.write(text) end
need(lstm.writefile(opt.out, text))
io.write(("%s: %s, %s bytes of flash; RAM: %s bytes for the model, %s for a state\n"):format(opt.out, name,
  count(bytes.flash), count(bytes.model), count(bytes.state)))
