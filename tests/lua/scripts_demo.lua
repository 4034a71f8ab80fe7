-- scripts/demo.lua in short form.
local lu = require "luaunit"
local lstm = require "lstm"
local programs = dofile "tests/lua/support/programs.lua"

local run, path = programs.run, programs.path

local TestDemo = {}

function TestDemo.testShort()
  local folder = path()
  os.execute("mkdir " .. folder)
  local out, err, code = run("scripts/demo.lua --short --seconds 1 --folder " .. folder)
  lu.assertEquals(code, 0, err)
  lu.assertStrContains(out, "It writes:")
  lu.assertStrContains(out, "persistence (repeating the last value)")
  lu.assertStrContains(out, "assert(require")
  for line in out:gsub(folder, "build/demo"):gmatch("[^\n]+") do lu.assertTrue(#line <= 78, line) end
  lu.assertStrContains(assert(lstm.readfile(folder .. "/forecast.svg")), ">Dec 1, 1990<")
  for _, name in ipairs{"c.safetensors", "temperature.safetensors", "forecast.svg", "loss.svg"} do
    local file = folder .. "/" .. name
    lu.assertTrue(lstm.readfile(file) ~= nil, file)
    lu.assertStrContains(out, name)
    os.remove(file)
  end
end

programs.finish{TestDemo = TestDemo}
