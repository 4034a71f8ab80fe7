-- sniff.lua: what a file is, from its first bytes, for the sentences that say it was given in the wrong place.

local core = require "lstm.core"

local sniff = {}

local HEAD = 4096

-- What a program keeps in model.meta under its own name, so that a file tells what it belongs to.
local commands = {"forecast", "chars", "classify", "anomaly", "sentiment", "tag", "stack", "translate", "audio"}

local function head_of(path)
  local file = core.file_size(path) and io.open(path, "rb")       -- not of a pipe, which cannot be read twice
  if not file then return nil end
  local text = file:read(HEAD)
  file:close()
  return text
end

--- "model" (safetensors), "binary", "utf16" or "text"; nil where the file cannot be read, is empty or a pipe.
function sniff.kind(path)
  local text = head_of(path)
  if not text then return nil end
  if text:find("^......%z%z{") and text:find('"', 10, true) then return "model" end
  if text:find("^\255\254") or text:find("^\254\255") then return "utf16" end
  local _, odd = text:gsub("[%z\1-\8\14-\26\28-\31]", "")
  return odd > #text / 100 and "binary" or "text"
end

--- The command that a model belongs to, or nil. meta: model.meta, perhaps nil.
function sniff.command(meta)
  for _, name in ipairs(commands) do
    if meta and meta[name] ~= nil then return name end
  end
  return nil
end

--- Why a file that is given as data is none: a sentence, or nil where it may be some. wanted: "a CSV file".
function sniff.no_data(path, wanted)
  local kind = sniff.kind(path)
  if kind == "model" then return ("%s is a model, not %s; programs take it with --load"):format(path, wanted) end
  if kind == "utf16" then return path .. " is a text in UTF-16: save it as UTF-8" end
  return kind == "binary" and ("%s is binary data, not %s"):format(path, wanted) or nil
end

--- Why a file that is given as a model is none, or nil.
function sniff.no_model(path)
  local kind = sniff.kind(path)
  if not kind or kind == "model" then return nil end
  return ("%s: this is not a safetensors file but %s; a model is a file that --out saved"):format(path,
    kind == "binary" and "other binary data" or "a text")
end

return sniff
