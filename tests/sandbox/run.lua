-- run.lua: runs the attacks and prints a line for each.   lstm tests/sandbox/run.lua FOLDER LSTM EMBED
-- A few run side by side. Whoever does not end by itself within 20 s has hung.

local lstm = require "lstm"

local folder, program, embedder = arg[1], arg[2], arg[3]
local attacks = assert(loadfile "tests/sandbox/attacks.lua")()
local SIDE_BY_SIDE = 4
local only = os.getenv "ATTACK"

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function prepare()
  for _, name in ipairs{"in", "out", "secret"} do os.execute("mkdir -p " .. quoted(folder .. "/" .. name)) end
  os.execute(("cd %s && ln -sf ../secret in/out && ln -sf ../secret/made in/pair"):format(quoted(folder)))
  assert(lstm.writefile(folder .. "/in/a.txt", "a"))
  assert(lstm.writefile(folder .. "/in/a", "a"))
  assert(lstm.writefile(folder .. "/in.txt", "a"))
  assert(lstm.writefile(folder .. "/secret/s.txt", "secret"))
  assert(lstm.writefile(folder .. "/run.csv", "a,b\n1,2\n3,4\n"))
  assert(lstm.model{input = 1, hidden = 2, output = 1}:save(folder .. "/in/m.safetensors"))
  local bytes = assert(lstm.readfile(folder .. "/in/m.safetensors"))
  assert(lstm.writefile(folder .. "/in/short.safetensors", bytes:sub(1, #bytes - 3)))
  assert(lstm.writefile(folder .. "/in/huge.safetensors", "\255\255\255\255\255\255\255\127" .. bytes:sub(9)))
end

-- A command's output (timeout's own exit code would be 124, too, unless it kills), then its exit code and its start
-- and end in nanoseconds (seconds where date knows no %N).
local WRAP = [[s=$(date +%%s%%N); timeout -s KILL 20 %s; r=$?; echo; echo "$r $s $(date +%%s%%N)"]]

local function start(attack, k, embed)
  local wanted = embed and attack.embed or attack
  local code, says = wanted[embed and attack.embed and 1 or 3], wanted[embed and attack.embed and 2 or 4]
  if embed and not attack.embed and code > 0 then code = 1 end
  local function here(text) return (text:gsub("DIR", (folder:gsub("%%", "%%%%")))) end
  local path = ("%s/%d.lua"):format(folder, k)
  assert(lstm.writefile(path, here(attack[2])))
  local options = here(attack.options or "")
  if not options:find "--timeout" then       -- none of those that stop for another reason is hurried
    options = options .. (says:find "time limit" and " --timeout 0.3" or " --timeout 15")
  end
  if not embed and not options:find "--memory" then options = options .. " --memory 64M" end
  local command = ("%s %s %s <%s %s"):format(embed and embedder or program .. " --sandbox", options, path,
    attack.input or "/dev/null", attack.quiet and "2>&1 >/dev/null" or "2>&1")
  return {name = (embed and "embedded: " or "") .. attack[1], code = code, says = here(says), options = options:gsub(
    folder, ""), pipe = assert(io.popen(WRAP:format(command)))}
end

local passed, failed = 0, 0

local function seconds_of(from, to)
  local unit = #from > 12 and 1e9 or 1
  return (tonumber(to) - tonumber(from)) / unit
end

local function finish(run)
  local text = run.pipe:read "a"
  run.pipe:close()
  local said, code, from, to = text:match "^(.-)\n(%d+) (%d+)N? (%d+)N?\n$"
  said = said:gsub("%s+$", "")
  local fine = tonumber(code) == run.code and said:find(run.says, 1, true) ~= nil
  if fine then passed = passed + 1 else failed = failed + 1 end
  local line = (said:match "[^\n]*the %a+ limit[^\n]*" or said:match "([^\n]*)$"):gsub(folder, ""):gsub("%s+", " ")
  print(("%-7s %-58s %5.2f s  exit %-3s %s"):format(fine and "ok" or "not ok", run.name, seconds_of(from, to), code,
    line:sub(1, 96)))
  if not fine then print(("  wanted: exit %d, %s; said: %s"):format(run.code, run.says, said)) end
end

prepare()
local running = {}
for _, embed in ipairs{false, true} do
  for k, attack in ipairs(attacks) do
    local wanted = attack[embed and "embed" or "process"] ~= false
    if wanted and (not only or attack[1]:find(only, 1, true)) then
      running[#running + 1] = start(attack, k, embed)
      if #running == SIDE_BY_SIDE then finish(table.remove(running, 1)) end
    end
  end
end
for _, run in ipairs(running) do finish(run) end
if only == nil then
  local made = lstm.folder(folder .. "/secret")
  local untouched = #made == 1 and lstm.readfile(folder .. "/secret/s.txt") == "secret"
  print(untouched and "ok      what is outside is as it was" or "not ok  files were written outside")
  if untouched then passed = passed + 1 else failed = failed + 1 end
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0, true)
