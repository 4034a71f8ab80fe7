-- data.lua [FOLDER]: what reading big files costs: CPU time, memory of the process and of Lua's heap.
--
--   ./lstm tests/bench/data.lua
--
-- Makes a text of 100 MB and a CSV file of 1,000,000 rows by 8 columns in FOLDER (/tmp if not given), reads each in a
-- process of its own, and removes them. Linux: the memory is what /proc/self/status says.

local lstm = require "lstm"

local BYTES, ROWS = 100e6, 1000000

local function status(name)
  local text = assert(io.open("/proc/self/status")):read("a")
  return tonumber(text:match(name .. ":%s*(%d+)")) / 1024
end

-- Reads one file and says what it took.
local function measure(kind, path)
  collectgarbage()
  local heap, rss, began = collectgarbage "count", status "VmRSS", os.clock()
  local kept, more
  if kind == "csv" then kept = assert(lstm.csv(path)) else kept, more = assert(lstm.text(path, kind)) end
  local seconds = os.clock() - began
  local most = status "VmHWM" - rss
  collectgarbage()
  print(("%-28s %6.2f s of CPU time, process +%.0f MB (at most +%.0f), Lua heap %+.2f MB"):format(
    tostring(more or kept), seconds, status "VmRSS" - rss, most, (collectgarbage "count" - heap) / 1024))
end

local words = {}
for word in ([[the quick brown fox jumps over a lazy dog while seven wizards explain "boxes", jugs, and quite
many other things to everyone who wants to know (or not) about it: 0123456789.]]):gmatch("%S+") do
  words[#words + 1] = word
end

local function write_text(path)
  local rng, file, lines, size = lstm.rng(1), assert(io.open(path, "wb")), {}, 0
  for i = 1, 1000 do
    local line = {}
    for k = 1, 8 + rng:index(8) do line[k] = words[rng:index(#words)] end
    lines[i] = table.concat(line, " ") .. "\n"
  end
  while size < BYTES do
    local line = lines[rng:index(#lines)]
    file:write(line)
    size = size + #line
  end
  file:close()
end

local function write_csv(path)
  local rng, file = lstm.rng(1), assert(io.open(path, "wb"))
  file:write("a,b,c,d,e,f,g,h\n")
  local row = {}
  for _ = 1, ROWS do
    for j = 1, 8 do row[j] = ("%.4f"):format(rng:uniform() * 100) end
    file:write(table.concat(row, ","), "\n")
  end
  file:close()
end

local function megabytes(path)
  local file = assert(io.open(path))
  local size = file:seek("end")
  file:close()
  return size / 1e6
end

if arg[2] then return measure(arg[1], arg[2]) end

local folder = arg[1] or "/tmp"
for _, job in ipairs{{"csv", write_csv, ".csv"}, {"bytes", write_text, ".txt"}, {"utf8", write_text, ".txt"},
  {"words", write_text, ".txt"}} do
  local path = ("%s/lstm-bench-%s%s"):format(folder, job[1], job[3])
  job[2](path)
  print(("%s, %.0f MB, %s"):format(path, megabytes(path), job[1]))
  os.execute(("%s tests/bench/data.lua %s %s"):format(arg[-1], job[1], path))
  os.remove(path)
end
