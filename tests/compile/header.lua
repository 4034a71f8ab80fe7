-- Rules for the sources that no compiler checks. Run from the root: ./lstm tests/compile/header.lua FILES...
-- Prints "ok RULE", or "not ok RULE" and where it is broken.

local failed = 0
local function report(rule, problems)
  if #problems == 0 then return print("ok " .. rule) end
  failed = failed + 1
  print("not ok " .. rule)
  for _, problem in ipairs(problems) do print("  " .. problem) end
end

local function lines(path)
  local list, file = {}, assert(io.open(path, "rb"))
  for line in file:lines() do list[#list + 1] = line end
  file:close()
  return list
end

local function add(list, format, ...) list[#list + 1] = format:format(...) end

local header = lines "lstm.h"
local text = table.concat(header, "\n")

-- The index in the manual names the sections of the body, in order.
local function sections()
  local index, body, problems, inside = {}, {}, {}, false
  for _, line in ipairs(header) do
    if line:find "^ *INDEX" then inside = true end
    if line:find "%*/" then inside = false end
    local name = line:match "^/%* %[SECTION%] (%w.-) =+"
    if name then body[#body + 1] = name end
    for tag in (inside and line .. "  " or ""):gmatch "%[SECTION%] (.-)  " do index[#index + 1] = tag end
  end
  for i = 1, math.max(#index, #body) do
    if index[i] ~= body[i] then
      add(problems, "number %d is '%s' in the index and '%s' in the body", i, index[i] or "-", body[i] or "-")
      break
    end
  end
  if #body == 0 then add(problems, "no [SECTION] found") end
  return problems
end

-- A function is what begins in column 1 with a name and ends with } in column 1.
local function lengths(paths, limit)
  local problems = {}
  for _, path in ipairs(paths) do
    local start, name
    for n, line in ipairs(path == "lstm.h" and header or lines(path)) do
      if line:find "^[%a_].*%(.*" and not line:find ";%s*$" and not line:find "^#" then
        start, name = n, line:match "([%w_]+)%("
      elseif line:find "^}" and start then
        local length = n - start + 1
        if length > limit then add(problems, "%s:%d: %s has %d lines, not %d", path, start, name, length, limit) end
        start = nil
      end
    end
  end
  return problems
end

-- One header stays readable as long as it does not grow without end.
local function ceiling(limit)
  if #header <= limit then return {} end
  return {("lstm.h has %d lines, not %d"):format(#header, limit)}
end

local function layout(paths)
  local problems = {}
  for _, path in ipairs(paths) do
    for n, line in ipairs(lines(path)) do
      local length = utf8.len(line) or #line
      local row = path:find "%.md$" and line:find "^|" -- of a table
      if length > 120 and not row then add(problems, "%s:%d: %d columns", path, n, length) end
      if line:find "%s$" then add(problems, "%s:%d: space at the end", path, n) end
      if line:find "\t" and not path:find "Makefile" then add(problems, "%s:%d: a tab", path, n) end
    end
  end
  return problems
end

local function version()
  local problems = {}
  local part = {}
  for _, name in ipairs{"MAJOR", "MINOR", "PATCH"} do
    part[#part + 1] = text:match("#define LSTM_VERSION_" .. name .. " (%d+)") or "?"
  end
  local want = table.concat(part, ".")
  local places = {
    LSTM_VERSION_STRING = text:match '#define LSTM_VERSION_STRING "([^"]*)"',
    banner = text:match "^/%* lstm%.h %- ([%d.]+)",
    ["CHANGELOG.md"] = table.concat(lines "CHANGELOG.md", "\n"):match "\n## ([%d.]+)",
  }
  for _, place in ipairs{"LSTM_VERSION_STRING", "banner", "CHANGELOG.md"} do
    if places[place] ~= want then add(problems, "%s says %s, lstm.h is %s", place, places[place] or "nothing", want) end
  end
  return problems
end

-- Every name that the header defines, as a macro or at file scope above the implementation, is ours.
local function names()
  local problems = {}
  for n, line in ipairs(header) do
    local macro = line:match "^%s*#%s*define%s+([%w_]+)"
    -- what the kernel pass defines for itself is undefined again, see below
    if macro and not macro:find "^LSTM_" and not macro:find "^_CRT_" then
      if not text:find("#%s*undef%s+" .. macro .. "%f[^%w_]") then
        add(problems, "lstm.h:%d: macro %s stays defined", n, macro)
      end
    end
    if line:find "//" and not line:find "://" and not line:find "//[%w]" and not line:find "^   " then
      add(problems, "lstm.h:%d: a // comment", n)
    end
  end
  return problems
end

-- Every public function is used by some test.
local function tested(paths)
  local problems, used = {}, {}
  for _, path in ipairs(paths) do
    if path:find "^tests/" then
      for name in table.concat(lines(path), "\n"):gmatch "lstm_[%w_]+" do used[name] = true end
    end
  end
  for name in text:gmatch "\nLSTM_API [%w_ ]-%*?(lstm_[%w_]+)%(" do
    if not used[name] then problems[1] = (problems[1] or "in no test:") .. " " .. name end
    used[name] = true -- said once
  end
  return problems
end

local paths, c = {...}, {}
for _, path in ipairs(paths) do if path:find "%.[ch]$" then c[#c + 1] = path end end
report("sections: index and body are equal", sections())
report("functions have at most 100 lines", lengths(c, 100))
report("lstm.h has at most 8000 lines", ceiling(8000))
report("lines have at most 120 columns", layout(paths))
report("one version everywhere", version())
report("only lstm names are defined", names())
report("every public function is tested", tested(paths))
os.exit(failed == 0)
